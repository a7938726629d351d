import { setTimeout as sleep } from 'node:timers/promises'
import { isConnection, openConnection } from '../prober/connection.ts'
import type { System } from '../system/system.ts'

/** The names that the samples' sites are given on a new machine. */
const hosts = ['hello-static.localhost', 'hello-node.localhost']
const pollMs = 10

/** Starts a system that has never run, and answers how long it took until a browser would have seen a page. */
export const coldStartMs = async (system: System): Promise<number> => {
  const startedAt = performance.now()
  const watching = new AbortController()
  const served = firstPage(system.httpPort, watching.signal)
  try {
    await system.start()
    // Both samples are served when `npm start` says that it is ready.
    const at = await Promise.race([served, sleep(1000)])
    if (at === undefined) throw new Error(`npm start is ready, but none of ${hosts.join(', ')} is served`)
    return at - startedAt
  } finally {
    watching.abort()
  }
}

const firstPage = async (port: number, signal: AbortSignal): Promise<number | undefined> => {
  while (!signal.aborted) {
    const answers = await Promise.all(hosts.map((host) => isServed(port, host)))
    if (answers.some(Boolean)) return performance.now()
    await sleep(pollMs)
  }
  return undefined
}

const isServed = async (port: number, host: string): Promise<boolean> => {
  const opened = await openConnection({ address: '127.0.0.1', port }, 1000)
  if (!isConnection(opened)) return false
  const exchange = await opened.exchange({ method: 'GET', host, path: '/' }, 1000)
  opened.close()
  return exchange.outcome === 'answered' && exchange.answer.status === 200
}
