import type { RequestListener } from 'node:http'
import { systemClock } from '@berth/shared/clock'
import { Agent, type Dispatcher, request } from 'undici'
import { createFront, type Front, type FrontLimits } from '../front/front.ts'
import type { FrontRoute } from '../host/host.ts'
import { host, startWebWorker, type WebWorker } from './web-workers.ts'

type Ask = {
  readonly hostName?: string
  readonly method?: Dispatcher.HttpMethod
  readonly headers?: Record<string, string>
  readonly body?: string | AsyncIterable<Buffer>
  readonly signal?: AbortSignal
}

export type Bench = {
  readonly worker: (listener: RequestListener, port?: number) => Promise<WebWorker>
  /** A worker that answers everything with one text. */
  readonly saying: (text: string) => Promise<WebWorker>
  readonly swap: (front: Front, routes: readonly FrontRoute[]) => void
  /** A front in this process, listening on a port of its own, and a client of it. */
  readonly serve: (
    routes: readonly FrontRoute[],
    limits?: FrontLimits
  ) => Promise<{
    readonly front: Front
    readonly port: number
    readonly ask: (path: string, options?: Ask) => Promise<Dispatcher.ResponseData>
    readonly closeClient: () => Promise<void>
  }>
  /** Ends everything that this bench started. */
  readonly close: () => Promise<void>
}

/** Fronts, workers and clients of one test, on real sockets. */
export const createBench = (): Bench => {
  const fronts: Front[] = []
  const workers: WebWorker[] = []
  const agents: Agent[] = []
  let generation = 0

  const worker: Bench['worker'] = async (listener, port) => {
    const made = await startWebWorker(listener, port)
    workers.push(made)
    return made
  }
  const swap: Bench['swap'] = (front, routes) => front.swap({ generation: ++generation, ready: true, routes })

  return {
    worker,
    saying: (text) => worker((_, response) => response.end(text)),
    swap,
    serve: async (routes, limits) => {
      const front = createFront({ server: 's-test', clock: systemClock, ...(limits && { limits }) })
      fronts.push(front)
      swap(front, routes)
      const { port } = await front.listen({ host, port: 0 })
      const dispatcher = new Agent({ connections: 64 })
      agents.push(dispatcher)
      const ask = (path: string, { hostName = 'a.test', method = 'GET', headers, body, signal }: Ask = {}) =>
        request(`http://${host}:${port}${path}`, {
          dispatcher,
          method,
          headers: { host: hostName, ...headers },
          // undici takes iterables; its type forgets them.
          ...(body === undefined ? {} : { body: body as string }),
          ...(signal === undefined ? {} : { signal })
        })
      return { front, port, ask, closeClient: () => dispatcher.close() }
    },
    close: async () => {
      await Promise.all(agents.map((agent) => agent.destroy()))
      await Promise.all(workers.map((made) => made.kill()))
      for (const front of fronts) {
        swap(front, [])
        await front.drain(0)
      }
    }
  }
}
