import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, type Exchange, isConnection, openConnection, type ProbeRequest } from './connection.ts'
import { type Ledger, type ProbeKind, type ProbeReport, probeLedger, type RequestRecord } from './ledger.ts'
import { linksOf, type Target, type Verdict } from './targets.ts'

export type ProberOptions = {
  readonly targets: readonly Target[]
  /** How many of each kind run beside each other on each target. */
  readonly lines?: Partial<Readonly<Record<ProbeKind, number>>>
  /** Between the end of one request and the start of the next of its line; 0 is back to back. */
  readonly paceMs?: number
  readonly timeoutMs?: number
  readonly uploadBytes?: number
  readonly uploadMs?: number
  /** How soon after our write a close counts as having crossed it. */
  readonly crossingMs?: number
}

export type Prober = {
  /** The requests that are under way now. */
  readonly inFlight: () => readonly RequestRecord[]
  /** Every request that was under way at any moment of `work`. */
  readonly witness: <T>(work: () => Promise<T>) => Promise<{ result: T; inFlight: readonly RequestRecord[] }>
  readonly requests: () => number
  readonly failures: () => number
  /** Resolves once each line has ended the request that it was in. */
  readonly stop: () => Promise<ProbeReport>
}

const defaults = {
  lines: { 'keep-alive': 1, 'new-connection': 1, upload: 1, asset: 1 },
  paceMs: 0,
  timeoutMs: 30_000,
  uploadBytes: 64 * 1024,
  uploadMs: 2000,
  crossingMs: 100
} as const

type Options = { readonly [K in keyof typeof defaults]: K extends 'lines' ? Readonly<Record<ProbeKind, number>> : number }

/** Starts to probe, and does not pause before it is stopped. */
export const startProber = ({ targets, lines, ...given }: ProberOptions): Prober => {
  const options: Options = { ...defaults, ...given, lines: { ...defaults.lines, ...lines } }
  const ledger = probeLedger()
  const stopping = new AbortController()
  const running = targets.flatMap((target) =>
    kindsFor(target).flatMap((kind) =>
      Array.from({ length: options.lines[kind] }, () => runLine({ kind, target, ledger, options, signal: stopping.signal }))
    )
  )

  return {
    inFlight: ledger.inFlight,
    witness: ledger.witness,
    requests: ledger.requests,
    failures: ledger.failures,
    stop: async () => {
      stopping.abort()
      await Promise.all(running)
      return ledger.report()
    }
  }
}

const kindsFor = (target: Target): ProbeKind[] => [
  'keep-alive',
  'new-connection',
  ...(target.upload ? (['upload'] as const) : []),
  ...(target.followsLinks ? (['asset'] as const) : [])
]

/** One user's browser: what it is doing, on which connection. */
type Line = {
  readonly kind: ProbeKind
  readonly target: Target
  readonly ledger: Ledger
  readonly options: Options
  readonly signal: AbortSignal
}

const runLine = async (line: Line): Promise<void> => {
  const turn = turns[line.kind]
  let connection: Connection | undefined
  while (!line.signal.aborted) {
    connection = await turn(line, connection)
    if (line.options.paceMs > 0) await sleep(line.options.paceMs)
    // A turn may end without one wait on the network; the other lines must come to theirs.
    else await new Promise<void>((resolve) => setImmediate(resolve))
  }
  connection?.close()
}

/** One turn of a line: its requests, and the connection to use next. */
type Turn = (line: Line, connection: Connection | undefined) => Promise<Connection | undefined>

const turns: Readonly<Record<ProbeKind, Turn>> = {
  'keep-alive': async (line, connection) => (await get(line, line.target.path, connection)).connection,

  'new-connection': async (line) => {
    const { connection } = await get(line, line.target.path, undefined)
    connection?.close()
    return undefined
  },

  asset: async (line, connection) => {
    const page = await get(line, line.target.path, connection)
    let next = page.connection
    for (const link of page.body ? linksOf(page.body.toString('utf8'), line.target.path) : [])
      next = (await get(line, link, next)).connection
    return next
  },

  // The GET before it tells which server and worker the connection leads to, should the upload die with them.
  upload: async (line) => {
    const { connection } = await get(line, line.target.path, undefined)
    if (connection) await upload(line, connection)
    connection?.close()
    return undefined
  }
}

/** A GET, tried a second time on a new connection where any HTTP client does so. */
const get = async (
  line: Line,
  path: string,
  connection: Connection | undefined
): Promise<{ connection: Connection | undefined; body: Buffer | undefined }> => {
  const request: ProbeRequest = { method: 'GET', host: line.target.host, path }
  const judge = (exchange: Exchange) => judgeGet(line.target, path, exchange)
  const reused = connection?.isUsable() ? connection : undefined
  let tried = await attempt(line, request, reused, judge)
  if (reused && tried.crossed) tried = await attempt(line, request, undefined, judge)
  return tried
}

const upload = async (line: Line, connection: Connection): Promise<void> => {
  const { target, options } = line
  if (!target.upload || !connection.isUsable()) return
  const { judge, path } = target.upload
  const bytes = randomBytes(options.uploadBytes)
  const body = { bytes: bytes.length, parts: () => drip(bytes, options.uploadMs) }
  await attempt(line, { method: 'POST', host: target.host, path, body }, connection, (exchange) => {
    if (exchange.outcome === 'failed') return { wrong: exchange.detail }
    return exchange.answer.status === 200 ? judge(exchange.answer, bytes) : { wrong: `status ${exchange.answer.status}` }
  })
}

const judgeGet = (target: Target, path: string, exchange: Exchange): Verdict => {
  if (exchange.outcome === 'failed') return { wrong: exchange.detail }
  if (exchange.answer.status >= 400) return { wrong: `status ${exchange.answer.status}` }
  return target.judge(path, exchange.answer)
}

/** One request on this connection or a new one, written down with everything that a proof may need. */
const attempt = async (
  line: Line,
  request: ProbeRequest,
  reused: Connection | undefined,
  judge: (exchange: Exchange) => Verdict
): Promise<{ connection: Connection | undefined; body: Buffer | undefined; crossed: boolean }> => {
  const entry = line.ledger.begin(line.kind, request, reused)
  const opened = reused ?? (await openConnection(line.target.entry, line.options.timeoutMs))
  const exchange = isConnection(opened) ? await opened.exchange(request, line.options.timeoutMs) : opened
  const crossed = reused !== undefined && request.method === 'GET' && hasCrossedAClose(exchange, line.options.crossingMs)
  if (crossed) entry.retry(exchange)
  else entry.finish(exchange, judge(exchange), isConnection(opened) ? opened : undefined)
  const isKept = isConnection(opened) && opened.isUsable()
  return {
    connection: isKept ? opened : undefined,
    body: exchange.outcome === 'answered' && exchange.answer.status < 300 ? exchange.answer.body : undefined,
    crossed
  }
}

/** The other side closed an idle connection just as we wrote: not one byte of an answer, and the close came with our write. */
const hasCrossedAClose = (exchange: Exchange, crossingMs: number): boolean =>
  exchange.outcome === 'failed' &&
  (exchange.reason === 'closed' || exchange.reason === 'reset') &&
  exchange.bytesReceived === 0 &&
  exchange.endedAt - exchange.startedAt <= crossingMs

const dripParts = 16

async function* drip(bytes: Buffer, totalMs: number): AsyncIterable<Buffer> {
  const size = Math.ceil(bytes.length / dripParts)
  for (let at = 0; at < bytes.length; at += size) {
    await sleep(totalMs / dripParts)
    yield bytes.subarray(at, at + size)
  }
}
