import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, isConnection, openConnection } from '../prober/connection.ts'
import { answererOf } from '../prober/targets.ts'
import type { Server } from '../system/servers.ts'

const pollMs = 10
const answerMsMax = 5000

/** Asks one server's front directly, on one connection, until it serves this version; answers when it first did. */
const untilServedBy = async (server: Server, host: string, version: string, signal: AbortSignal): Promise<number> => {
  let connection: Connection | undefined
  try {
    while (!signal.aborted) {
      const opened = connection?.isUsable() ? connection : await openConnection(server, answerMsMax)
      if (isConnection(opened)) {
        connection = opened
        const exchange = await opened.exchange({ method: 'GET', host, path: '/' }, answerMsMax)
        if (exchange.outcome === 'answered' && answererOf(exchange.answer).worker?.version === version) return performance.now()
      }
      await sleep(pollMs)
    }
    throw new Error(`${server.server} did not serve version ${version} of ${host} in time`)
  } finally {
    connection?.close()
  }
}

/** How long after `startedAt` (of `performance.now`) the last of these servers began to serve the version. */
export const servedOnAllMs = async (o: {
  readonly servers: readonly Server[]
  readonly host: string
  readonly version: string
  readonly startedAt: number
  readonly deadlineMs: number
}): Promise<number> => {
  const signal = AbortSignal.timeout(o.deadlineMs)
  const times = await Promise.all(o.servers.map((server) => untilServedBy(server, o.host, o.version, signal)))
  return Math.max(...times) - o.startedAt
}
