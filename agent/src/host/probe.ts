import { request } from 'node:http'
import type { Clock } from '@berth/shared/clock'
import { isTakenByOther } from '@berth/shared/listeners'
import type { PoolReason, ProbeAnswer, ProbeRequest, ProbeResult } from './host.ts'

/** What a probe looks at before each question: where workers are, or that there will be none. */
export type ProbedPool =
  | { readonly kind: 'workers'; readonly workers: readonly { readonly port: number; readonly ready: boolean }[] }
  | { readonly kind: 'given-up'; readonly reason: PoolReason }

const bodyStartBytesMax = 4096
const againMs = 25

type ProbeOptions = {
  readonly address: string
  /** The workers' own user; an answer of anybody else's process is none. */
  readonly uid: number | undefined
  readonly look: () => Promise<ProbedPool>
  readonly asked: ProbeRequest
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Asks each worker until it gave the wanted number of good answers in a row, or until the time is over. */
export const probePool = async ({ address, uid, look, asked, clock, signal }: ProbeOptions): Promise<ProbeResult> => {
  const end = clock.now().getTime() + asked.deadlineMs
  const good = new Map<number, number>()
  let attempts = 0
  let last: ProbeAnswer | undefined
  for (;;) {
    const pool = await look()
    if (pool.kind === 'given-up') return { ok: false, attempts, ...(last ? { last } : {}), reason: pool.reason }
    const open = pool.workers.filter(({ port }) => (good.get(port) ?? 0) < asked.count)
    if (pool.workers.length > 0 && open.length === 0) return { ok: true }
    const answers = await Promise.all(
      open
        .filter(({ ready }) => ready)
        .map(async ({ port }) => {
          const answer = await askOwn({ address, uid, asked, clock, signal }, port)
          const isGood = answer.status === asked.status
          good.set(port, isGood ? (good.get(port) ?? 0) + 1 : 0)
          return isGood ? undefined : answer
        })
    )
    attempts += answers.length
    const bad = answers.find((answer) => answer !== undefined)
    if (bad) last = bad
    if (clock.now().getTime() >= end || signal.aborted) return { ok: false, attempts, ...(last ? { last } : {}) }
    // Good answers are asked for one after the other at once; anything else gets a moment to become good.
    if (bad || answers.length === 0) await clock.wait(againMs, signal)
  }
}

/** Asks before and after whose the port is: it may change hands at any time, and a stranger's answer proves nothing. */
const askOwn = async ({ address, uid, asked, clock, signal }: Omit<ProbeOptions, 'look'>, port: number): Promise<ProbeAnswer> => {
  const taken = { url: `http://${address}:${port}${asked.path}`, ms: 0, error: 'another user listens on the port' }
  if (await isTakenByOther(address, port, uid)) return taken
  const answer = await ask(address, port, asked, clock, signal)
  return (await isTakenByOther(address, port, uid)) ? taken : answer
}

/** One question on a connection of its own. A redirect is an answer like any other. */
const ask = (
  address: string,
  port: number,
  { path, hostName, timeoutMs }: ProbeRequest,
  clock: Clock,
  signal: AbortSignal
): Promise<ProbeAnswer> => {
  const url = `http://${address}:${port}${path}`
  const start = clock.now().getTime()
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  return new Promise((resolve) => {
    const answer = (rest: Partial<ProbeAnswer>) => resolve({ url, ms: clock.now().getTime() - start, ...rest })
    const headers = { host: hostName, 'user-agent': 'berth-probe', connection: 'close' }
    const outgoing = request({ host: address, port, path, headers, agent: false, signal: limit }, (incoming) => {
      const chunks: Buffer[] = []
      let size = 0
      const finish = () => {
        const bodyStart = Buffer.concat(chunks).subarray(0, bodyStartBytesMax).toString('utf8')
        answer({ status: incoming.statusCode ?? 0, headers: plainHeaders(incoming.headersDistinct), bodyStart })
        outgoing.destroy()
      }
      incoming.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size >= bodyStartBytesMax) finish()
      })
      incoming.on('end', finish)
      incoming.on('error', (error) => answer({ error: messageOf(error, limit, timeoutMs) }))
    })
    outgoing.on('error', (error) => answer({ error: messageOf(error, limit, timeoutMs) }))
    outgoing.end()
  })
}

const messageOf = (error: Error, limit: AbortSignal, timeoutMs: number): string =>
  limit.aborted ? `no whole answer within ${timeoutMs} ms` : error.message

const plainHeaders = (headers: Readonly<Record<string, string[] | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, (values ?? []).join(', ')]))
