import { connect } from 'node:net'
import type { Clock } from '@berth/shared/clock'
import { Pool } from 'undici'
import type { FrontRoute } from '../host/host.ts'

/** A request under way, as its pool sees it. */
export type Passenger = { readonly cut: () => void }

/** One worker process, behind its address. */
export type Worker = {
  /** Its connections; all of them are given up together when one broke. */
  dispatcher: Pool
  inFlight: number
  /** It refused a connection: it died or is being started again, on the same port. */
  down: boolean
}

/** The workers of one release, and the requests that are on them or wait for them. */
export type UpstreamPool = {
  readonly deployment: string
  readonly release: string
  readonly inFlight: number
  /** The worker with the least to do; `except` only when there is no other. Nothing when all are down. */
  readonly pick: (except?: Worker) => Worker | undefined
  readonly board: (passenger: Passenger, worker: Worker) => void
  readonly leave: (passenger: Passenger, worker: Worker) => void
  readonly isFull: () => boolean
  /** Takes a worker out of the choice until it accepts a connection again. */
  readonly markDown: (worker: Worker) => void
  /** A connection of `dispatcher` broke: the worker may be gone, and its other connections with it. None of them is used again. */
  readonly renew: (worker: Worker, dispatcher: Pool) => void
  /** Resolves when something changed: a worker is back, the pool is no longer routed, or `signal` ended the wait. */
  readonly waitForChange: (signal: AbortSignal) => Promise<void>
  /** Whether a worker accepts a connection right now. */
  readonly isReachable: () => Promise<boolean>
  /** Takes no new requests; closes its connections once the last request left, so that a frozen worker holds none. */
  readonly retire: () => Promise<void>
  /** Breaks off what is under way. */
  readonly cut: () => void
}

const connectionsPerWorkerMax = 4096
const connectTimeoutMs = 2000
const retryDelayMsMin = 10
const retryDelayMsMax = 200

// Node's servers close a connection that was idle for 5 s. We close it well before, so that no request is ever sent into a
// connection which its worker is just closing. A worker that says a shorter time is believed, less the threshold.
const keepAlive = { keepAliveTimeout: 3000, keepAliveMaxTimeout: 3000, keepAliveTimeoutThreshold: 1000 }

/** Makes the upstream side of one route's release. */
export const upstreamPool = (
  { deployment, release, upstreams, queueLength }: FrontRoute,
  { clock }: { readonly clock: Clock }
): UpstreamPool => {
  const passengers = new Set<Passenger>()
  const waiting = new Set<() => void>()
  const retired = new AbortController()
  const addresses = new Map<Worker, { host: string; port: number }>()
  let turn = 0
  let drained: (() => void) | undefined

  const workers = upstreams.map(({ host, port }): Worker => {
    const worker = { dispatcher: dispatcherTo({ host, port }), inFlight: 0, down: false }
    addresses.set(worker, { host, port })
    return worker
  })

  const wake = () => {
    for (const resume of [...waiting]) resume()
  }

  const watchUntilUp = async (worker: Worker, address: { host: string; port: number }) => {
    for (let delayMs = retryDelayMsMin; !retired.signal.aborted; delayMs = Math.min(delayMs * 2, retryDelayMsMax)) {
      await clock.wait(delayMs, retired.signal)
      if (!(await acceptsConnection(address))) continue
      worker.down = false
      return wake()
    }
  }

  return {
    deployment,
    release,
    get inFlight() {
      return passengers.size
    },
    pick: (except) => {
      turn = (turn + 1) % Math.max(workers.length, 1)
      let best: Worker | undefined
      for (let index = 0; index < workers.length; index++) {
        const worker = workers[(turn + index) % workers.length]
        if (!worker || worker.down) continue
        const isBetter = best === undefined || best === except || (worker !== except && worker.inFlight < best.inFlight)
        if (isBetter) best = worker
      }
      return best
    },
    board: (passenger, worker) => {
      passengers.add(passenger)
      worker.inFlight++
    },
    leave: (passenger, worker) => {
      worker.inFlight--
      passengers.delete(passenger)
      if (passengers.size === 0) drained?.()
    },
    isFull: () => waiting.size >= queueLength || passengers.size >= workers.length * connectionsPerWorkerMax + queueLength,
    markDown: (worker) => {
      const address = addresses.get(worker)
      if (worker.down || !address) return
      worker.down = true
      void watchUntilUp(worker, address)
    },
    renew: (worker, dispatcher) => {
      const address = addresses.get(worker)
      if (worker.dispatcher !== dispatcher || !address) return
      worker.dispatcher = dispatcherTo(address)
      // What is under way on the others may still end well.
      void dispatcher.close()
    },
    waitForChange: (signal) =>
      new Promise((resolve) => {
        const resume = () => {
          waiting.delete(resume)
          signal.removeEventListener('abort', resume)
          resolve()
        }
        if (signal.aborted || retired.signal.aborted) return resolve()
        waiting.add(resume)
        signal.addEventListener('abort', resume)
      }),
    isReachable: async () => (await Promise.all([...addresses.values()].map(acceptsConnection))).includes(true),
    retire: async () => {
      retired.abort()
      wake()
      if (passengers.size > 0)
        await new Promise<void>((resolve) => {
          drained = resolve
        })
      await Promise.all(workers.map(({ dispatcher }) => dispatcher.close()))
    },
    cut: () => {
      for (const passenger of [...passengers]) passenger.cut()
    }
  }
}

const dispatcherTo = ({ host, port }: { readonly host: string; readonly port: number }): Pool =>
  new Pool(`http://${host}:${port}`, {
    connections: connectionsPerWorkerMax,
    connect: { timeout: connectTimeoutMs },
    // How long an answer may take is the application's business; a client that gives up ends it.
    headersTimeout: 0,
    bodyTimeout: 0,
    ...keepAlive
  })

/** Whether somebody listens there and lets us in. */
export const acceptsConnection = ({ host, port }: { readonly host: string; readonly port: number }): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: connectTimeoutMs })
    const answer = (accepted: boolean) => {
      socket.destroy()
      resolve(accepted)
    }
    socket.once('connect', () => answer(true))
    socket.once('timeout', () => answer(false))
    socket.once('error', () => answer(false))
  })
