import type { Connection, Exchange, ProbeRequest } from './connection.ts'
import { type VersionSpan, versionHistory } from './history.ts'
import { type Answerer, answererOf, type Verdict } from './targets.ts'

export const probeKinds = ['keep-alive', 'new-connection', 'upload', 'asset'] as const
export type ProbeKind = (typeof probeKinds)[number]

/** A request as it begins. `known` is who answered last on this connection, and so who will get this request. */
export type RequestRecord = {
  readonly kind: ProbeKind
  readonly host: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly startedAt: number
  readonly known: Answerer
}

/** A request that was not answered well, with all that is known of it. `own` is what its own answer's headers say, if it had any. */
export type Failure = RequestRecord & {
  readonly localPort: number | undefined
  readonly endedAt: number
  readonly bytesReceived: number
  readonly status: number | undefined
  readonly reason: string
  readonly detail: string
  readonly own: Answerer
}

/** A GET that was tried again because the other side had closed the idle connection as we wrote. */
export type Retry = RequestRecord & { readonly endedAt: number; readonly localPort: number | undefined; readonly detail: string }

export type ProbeReport = {
  readonly requests: number
  readonly byKind: Readonly<Record<ProbeKind, number>>
  readonly byStatus: Readonly<Record<string, number>>
  readonly failures: readonly Failure[]
  readonly retriedIdleClose: readonly Retry[]
  /** host → server → the versions that it served, in order. */
  readonly versionsSeen: Readonly<Record<string, Readonly<Record<string, readonly VersionSpan[]>>>>
  /** The longest that a good answer took, by kind. */
  readonly slowestMs: Readonly<Record<ProbeKind, number>>
}

export type Ledger = ReturnType<typeof probeLedger>

/** The book of all requests: who is under way, what failed, what was served. */
export const probeLedger = () => {
  const underWay = new Set<RequestRecord>()
  const witnesses = new Set<Set<RequestRecord>>()
  const answerers = new WeakMap<Connection, Answerer>()
  const byKind = zeroByKind()
  const slowestMs = zeroByKind()
  const byStatus: Record<string, number> = {}
  const failures: Failure[] = []
  const retriedIdleClose: Retry[] = []
  const histories = new Map<string, ReturnType<typeof versionHistory>>()

  const end = (record: RequestRecord) => underWay.delete(record)

  const begin = (kind: ProbeKind, request: ProbeRequest, reused: Connection | undefined) => {
    const { host, method, path } = request
    const known = (reused && answerers.get(reused)) ?? { server: undefined, worker: undefined }
    const record: RequestRecord = { kind, host, method, path, startedAt: Date.now(), known }
    underWay.add(record)
    for (const witness of witnesses) witness.add(record)

    return {
      retry: (exchange: Exchange) => {
        end(record)
        const detail = exchange.outcome === 'failed' ? exchange.detail : ''
        retriedIdleClose.push({ ...record, endedAt: exchange.endedAt, localPort: exchange.localPort, detail })
      },
      finish: (exchange: Exchange, verdict: Verdict, connection?: Connection) => {
        end(record)
        byKind[kind]++
        const head = exchange.outcome === 'answered' ? exchange.answer : exchange.head
        const own = answererOf(head)
        if (connection) answerers.set(connection, own)
        const status = head?.status
        byStatus[status ?? 'none'] = (byStatus[status ?? 'none'] ?? 0) + 1
        if (verdict.wrong !== undefined) return void failures.push(failureOf(record, exchange, own, status, verdict.wrong))
        slowestMs[kind] = Math.max(slowestMs[kind], exchange.endedAt - record.startedAt)
        const version = verdict.version ?? own.worker?.version
        if (own.server === undefined || version === undefined) return
        const history = histories.get(host) ?? versionHistory()
        histories.set(host, history)
        history.add(own.server, version, record.startedAt, exchange.endedAt)
      }
    }
  }

  const total = () => Object.values(byKind).reduce((sum, count) => sum + count, 0)
  return {
    begin,
    inFlight: (): readonly RequestRecord[] => [...underWay],
    witness: async <T>(work: () => Promise<T>): Promise<{ result: T; inFlight: readonly RequestRecord[] }> => {
      const seen = new Set(underWay)
      witnesses.add(seen)
      try {
        return { result: await work(), inFlight: [...seen] }
      } finally {
        witnesses.delete(seen)
      }
    },
    requests: total,
    failures: () => failures.length,
    report: (): ProbeReport => ({
      requests: total(),
      byKind: { ...byKind },
      byStatus: { ...byStatus },
      failures: [...failures],
      retriedIdleClose: [...retriedIdleClose],
      versionsSeen: Object.fromEntries([...histories].map(([host, history]) => [host, history.spans()])),
      slowestMs: { ...slowestMs }
    })
  }
}

const zeroByKind = (): Record<ProbeKind, number> => ({ 'keep-alive': 0, 'new-connection': 0, upload: 0, asset: 0 })

const failureOf = (
  record: RequestRecord,
  exchange: Exchange,
  own: Answerer,
  status: number | undefined,
  detail: string
): Failure => ({
  ...record,
  localPort: exchange.localPort,
  endedAt: exchange.endedAt,
  bytesReceived: exchange.bytesReceived,
  status,
  reason: exchange.outcome === 'failed' ? exchange.reason : status !== undefined && status >= 400 ? 'status' : 'wrong-answer',
  detail,
  own
})
