/** One HTTP answer as its bytes said it. Header names are in lower case. */
export type AnswerHead = { readonly status: number; readonly headers: ReadonlyMap<string, string> }
export type Answer = AnswerHead & { readonly body: Buffer; readonly keepsAlive: boolean }

/** What the bytes received so far are: part of an answer (with its head, once that is whole), a whole one, or no HTTP at all. */
export type Reading =
  | { readonly state: 'more'; readonly head: AnswerHead | undefined }
  | { readonly state: 'whole'; readonly answer: Answer; readonly bytes: number }
  | { readonly state: 'bad'; readonly why: string; readonly head: AnswerHead | undefined }

const headEnd = '\r\n\r\n'

/**
 * Reads the bytes of one answer, strictly: a prober that forgave what a browser might not would count failures as successes.
 * `ended` says that the other side has closed, which is the end of an answer without a length and breaks any other.
 */
export const readAnswer = (bytes: Buffer, ended: boolean): Reading => {
  const end = bytes.indexOf(headEnd)
  if (end === -1) return { state: 'more', head: undefined }
  const head = readHead(bytes.subarray(0, end).toString('latin1'))
  if (!head) return { state: 'bad', why: 'the answer does not begin as HTTP does', head: undefined }
  const start = end + headEnd.length
  // An interim answer (100 Continue) comes before the one that counts.
  if (head.status < 200) return shifted(readAnswer(bytes.subarray(start), ended), start)
  const keepsAlive = head.headers.get('connection')?.toLowerCase() !== 'close'
  const whole = (body: Buffer, length: number): Reading => ({
    state: 'whole',
    answer: { ...head, body, keepsAlive },
    bytes: start + length
  })

  if (head.status === 204 || head.status === 304) return whole(Buffer.alloc(0), 0)
  if (head.headers.get('transfer-encoding')?.toLowerCase() === 'chunked') {
    const chunks = readChunks(bytes.subarray(start))
    if (chunks === 'bad') return { state: 'bad', why: 'a chunk of the body has no proper size', head }
    return chunks ? whole(chunks.body, chunks.bytes) : { state: 'more', head }
  }
  const length = head.headers.get('content-length')
  if (length === undefined) {
    const body = bytes.subarray(start)
    return ended ? { state: 'whole', answer: { ...head, body, keepsAlive: false }, bytes: bytes.length } : { state: 'more', head }
  }
  if (!/^\d+$/.test(length)) return { state: 'bad', why: `content-length is ${length}`, head }
  const body = bytes.subarray(start, start + Number(length))
  return body.length === Number(length) ? whole(body, body.length) : { state: 'more', head }
}

const shifted = (reading: Reading, by: number): Reading =>
  reading.state === 'whole' ? { ...reading, bytes: reading.bytes + by } : reading

const readHead = (text: string): AnswerHead | undefined => {
  const [statusLine, ...lines] = text.split('\r\n')
  const status = /^HTTP\/1\.[01] (\d{3})( |$)/.exec(statusLine ?? '')?.[1]
  if (status === undefined) return undefined
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon < 1) return undefined
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return { status: Number(status), headers }
}

const readChunks = (bytes: Buffer): { body: Buffer; bytes: number } | 'bad' | undefined => {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const size = /^([0-9a-fA-F]{1,8})(;.*)?$/.exec(bytes.subarray(at, lineEnd).toString('latin1'))?.[1]
    if (size === undefined) return 'bad'
    const length = Number.parseInt(size, 16)
    const next = lineEnd + 2 + length + 2
    if (bytes.length < next) return undefined
    if (length === 0) return { body: Buffer.concat(parts), bytes: next }
    parts.push(bytes.subarray(lineEnd + 2, next - 2))
    at = next
  }
}
