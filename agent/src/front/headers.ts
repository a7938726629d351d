import type { IncomingMessage } from 'node:http'
import type { Target } from './target.ts'

// What concerns one connection only, and what a client must not say about itself: nobody in front of us can be believed.
const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])
const notFromClients = new Set(['forwarded', 'x-real-ip', 'expect', 'host', 'content-length', 'proxy-authorization'])
const forwardedPrefix = 'x-forwarded-'

/** Headers as HTTP has them: name, value, name, value. */
export type RawHeaders = string[]

/**
 * The headers of a request as a worker gets them. The client's word about other hops is replaced by ours; a worker whose
 * deployment lies at another `path` than `/` is told so, as it gets the whole path.
 */
export const headersToWorker = (request: IncomingMessage, target: Target, path: string): RawHeaders => {
  const { rawHeaders } = request
  const named = connectionOptions(request.headers.connection)
  const headers: RawHeaders = ['host', target.hostHeader]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const lower = name.toLowerCase()
    if (hopByHop.has(lower) || notFromClients.has(lower) || lower.startsWith(forwardedPrefix) || named?.has(lower)) continue
    headers.push(name, rawHeaders[index + 1] ?? '')
  }
  const contentLength = request.headers['content-length']
  if (contentLength !== undefined) headers.push('content-length', contentLength)
  headers.push('x-forwarded-for', request.socket.remoteAddress ?? '', 'x-forwarded-proto', 'http')
  headers.push('x-forwarded-host', target.hostHeader)
  if (path !== '/') headers.push('x-forwarded-prefix', path)
  return headers
}

/** The headers of a worker's answer as a client gets them, with our own line about who passed it on. */
export const headersToClient = (raw: readonly (Buffer | string)[], via: string): RawHeaders => {
  const headers: RawHeaders = []
  let named: ReadonlySet<string> | undefined
  for (let index = 0; index < raw.length; index += 2) {
    const name = textOf(raw[index])
    const lower = name.toLowerCase()
    if (lower === 'connection') named = new Set([...(named ?? []), ...(connectionOptions(textOf(raw[index + 1])) ?? [])])
    if (!hopByHop.has(lower)) headers.push(name, textOf(raw[index + 1]))
  }
  const kept = named ? headers.filter((_, index) => !named.has((headers[index - (index % 2)] ?? '').toLowerCase())) : headers
  kept.push('via', via)
  return kept
}

// HTTP/1 headers are bytes; Node hands them around as one character a byte.
const textOf = (value: Buffer | string | undefined): string =>
  typeof value === 'string' ? value : (value?.toString('latin1') ?? '')

/** Names that a Connection header declares to be of this hop. `keep-alive` and `close` are not names of headers. */
const connectionOptions = (value: string | undefined): ReadonlySet<string> | undefined => {
  if (value === undefined || value === 'keep-alive' || value === 'close') return undefined
  const options = value.split(',').map((option) => option.trim().toLowerCase())
  // Nobody may have us drop what says how a message is framed or where it goes.
  return new Set(options.filter((option) => option !== 'content-length' && option !== 'host'))
}
