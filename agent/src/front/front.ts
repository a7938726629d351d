import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '@berth/shared/clock'
import type { FrontRoute, FrontTable } from '../host/host.ts'
import { carry, type Destination, type Exchange } from './exchange.ts'
import { answerPage } from './pages.ts'
import { type UpstreamPool, upstreamPool } from './pools.ts'
import { arrangeRoutes, findRoute } from './table.ts'
import { isReserved, readTarget, type Target } from './target.ts'

/** Requests under way, per deployment and release; those of a release that is no longer routed are listed until they ended. */
export type FrontStats = {
  readonly requests: number
  readonly pools: readonly {
    readonly deployment: string
    readonly release: string
    readonly routed: boolean
    readonly inFlight: number
  }[]
}

/** The front without its disk and control socket: accepts, routes, carries. */
export type Front = {
  /** One synchronous assignment: a request finds the whole old table or the whole new one. */
  readonly swap: (table: FrontTable) => void
  readonly setReady: (ready: boolean) => void
  readonly stats: () => FrontStats
  /** Breaks off what is under way on a release that is not routed; answers whether it was not. */
  readonly cut: (deployment: string, release: string) => boolean
  /** Whether each route that should work can reach a worker. */
  readonly isReachable: () => Promise<boolean>
  readonly listen: (address: { readonly host: string; readonly port: number }) => Promise<AddressInfo>
  /** From now on every answer is its connection's last, and the health path says 503. Resolves when nobody is connected. */
  readonly drain: (lingerMsMax: number) => Promise<void>
}

const holdMsMax = 30_000
const discardMax = { bytes: 16 * 1024 * 1024, ms: 10_000 }
/** How long a connection may make the front wait for its next byte, and how many connections there may be. */
export type FrontLimits = { readonly idleMsMax: number; readonly connectionsMax: number }
const frontLimits: FrontLimits = { idleMsMax: 120_000, connectionsMax: 20_000 }
const serverOptions = {
  keepAliveTimeout: 75_000,
  headersTimeout: 30_000,
  // An upload may take as long as it takes; only its headers may not.
  requestTimeout: 0,
  maxHeaderSize: 32 * 1024,
  requireHostHeader: true,
  insecureHTTPParser: false,
  noDelay: true
}

/** Makes a front that listens nowhere yet and knows no route. */
export const createFront = ({
  server: name,
  clock,
  limits: { idleMsMax, connectionsMax } = frontLimits
}: {
  readonly server: string
  readonly clock: Clock
  readonly limits?: FrontLimits
}): Front => {
  let routes = arrangeRoutes<Destination>([], () => ({ kind: 'unknown' }))
  let pools: ReadonlyMap<string, UpstreamPool> = new Map()
  const retiring = new Set<UpstreamPool>()
  let requests = 0
  let isReady = false
  let isDraining = false

  const unanswered: Unanswered = new WeakMap()
  const unknown: Destination = { kind: 'unknown' }
  const find = (target: Target): Destination => findRoute(routes, target.hostName, target.path) ?? unknown
  const context = { find, clock, via: `1.1 ${name}`, isDraining: () => isDraining, holdMsMax, discardMax }

  const handle = (exchange: Omit<Exchange, 'target'>): void => {
    const { request, response } = exchange
    const target = readTarget(request.url ?? '', request.rawHeaders)
    if (isDraining) response.shouldKeepAlive = false
    if (!target) answerPage(request, response, 400)
    else if (isReserved(target.path)) answerReserved(request, response, target.path)
    else if (!hasPlainCoding(request)) answerPage(request, response, 501)
    else {
      requests++
      carry(context, { ...exchange, target })
    }
  }

  const answerReserved = (request: IncomingMessage, response: ServerResponse, path: string): void => {
    if (path === '/.berth/ready') {
      const status = isReady && !isDraining ? 200 : 503
      response.writeHead(status, { 'content-type': 'text/plain', 'cache-control': 'no-store' })
      response.end(request.method === 'HEAD' ? undefined : status === 200 ? 'ready\n' : 'not ready\n')
    } else answerPage(request, response, 404)
  }

  const server = createServer(
    { ...serverOptions, shouldUpgradeCallback: ({ headers, method }) => method === 'GET' && isWebSocket(headers.upgrade) },
    (request, response) => {
      remember(unanswered, { request, response })
      handle({ request, response })
    }
  )
  // Node drops headers above its own limit of a number without a word; the limit in bytes is enough.
  server.maxHeadersCount = 0
  server.maxConnections = connectionsMax
  server.setTimeout(idleMsMax, (socket) => {
    // An answer may take its worker as long as it takes; the client's own part of the exchange may not.
    if (awaitsWorker(socket, unanswered.get(socket))) socket.setTimeout(idleMsMax)
    else socket.destroy()
  })
  server.on('upgrade', (request: IncomingMessage, duplex: Duplex, head: Buffer) => {
    const socket = duplex as Socket // every connection of this server is a TCP socket
    // A tunnel cannot begin where answers to earlier requests are still to come; no WebSocket client asks for that.
    if (unanswered.has(socket)) return void socket.destroy()
    const response = responseOn(request, socket)
    remember(unanswered, { request, response })
    handle({ request, response, tunnel: { socket, head } })
  })

  return {
    swap: (table) => {
      const next = new Map<string, UpstreamPool>()
      const destinationOf = (route: FrontRoute): Destination => {
        if (route.failed || route.upstreams.length === 0) return { kind: 'failed' }
        const key = keyOf(route)
        const pool = next.get(key) ?? pools.get(key) ?? upstreamPool(route, { clock })
        next.set(key, pool)
        return { kind: 'pool', pool, path: route.path }
      }
      const before = pools
      routes = arrangeRoutes(table.routes, destinationOf)
      pools = next
      for (const [key, pool] of before) {
        if (next.has(key)) continue
        retiring.add(pool)
        void pool.retire().then(() => retiring.delete(pool))
      }
    },
    setReady: (ready) => {
      isReady = ready
    },
    stats: () => ({
      requests,
      pools: [...[...pools.values()].map((pool) => statsOf(pool, true)), ...[...retiring].map((pool) => statsOf(pool, false))]
    }),
    cut: (deployment, release) => {
      const isPool = (pool: UpstreamPool) => pool.deployment === deployment && pool.release === release
      if ([...pools.values()].some(isPool)) return false
      for (const pool of [...retiring].filter(isPool)) pool.cut()
      return true
    },
    isReachable: async () => !(await Promise.all([...pools.values()].map((pool) => pool.isReachable()))).includes(false),
    listen: (address) => listenOn(server, address),
    drain: async (lingerMsMax) => {
      isDraining = true
      await untilEmpty(server, clock, lingerMsMax)
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      await closed
    }
  }
}

const keyOf = ({ deployment, release, upstreams, queueLength }: FrontRoute): string =>
  JSON.stringify([deployment, release, queueLength, upstreams.map(({ host, port }) => [host, port])])

const statsOf = ({ deployment, release, inFlight }: UpstreamPool, routed: boolean) => ({ deployment, release, routed, inFlight })

const isWebSocket = (upgrade: string | undefined): boolean => upgrade?.toLowerCase() === 'websocket'

// Another coding than `chunked` would be lost on the way, as codings belong to one hop.
const hasPlainCoding = ({ headers }: IncomingMessage): boolean => {
  const coding = headers['transfer-encoding']
  return coding === undefined || coding.toLowerCase() === 'chunked'
}

/** The exchanges of each connection whose answers are not wholly sent. */
type Unanswered = WeakMap<Socket, Set<Pick<Exchange, 'request' | 'response'>>>

const remember = (unanswered: Unanswered, exchange: Pick<Exchange, 'request' | 'response'>): void => {
  const { socket } = exchange.request
  const exchanges = unanswered.get(socket) ?? new Set()
  unanswered.set(socket, exchanges)
  exchanges.add(exchange)
  exchange.response.once('close', () => {
    exchanges.delete(exchange)
    if (exchanges.size === 0) unanswered.delete(socket)
  })
}

/** Whether a connection on which nothing moves stands still for the worker's sake: all that its client has to do is done. */
const awaitsWorker = (socket: Socket, exchanges: ReadonlySet<Pick<Exchange, 'request'>> | undefined): boolean =>
  exchanges !== undefined &&
  socket.writableLength === 0 &&
  [...exchanges].every(({ request }) => request.complete || request.readableLength > 0)

/** An answer on a connection that Node already gave up to an upgrade: for when there will be none. */
const responseOn = (request: IncomingMessage, socket: Socket): ServerResponse => {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  // Node no longer does these for the connection: without them an answer that fills its buffers would stop there for good,
  // and a connection of which nobody reads the end would stay.
  const drained = () => response.emit('drain')
  socket.on('drain', drained)
  response.once('finish', () => {
    socket.off('drain', drained)
    response.detachSocket(socket)
    socket.destroySoon()
  })
  socket.on('error', () => socket.destroy())
  return response
}

const listenOn = (server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<AddressInfo> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve(server.address() as AddressInfo) // a TCP server's address is never a path
    })
  })

// The balancer needs a moment to learn that we want no new connections; until then a closed port would be a failed request.
const untilEmpty = async (server: Server, clock: Clock, lingerMsMax: number): Promise<void> => {
  const deadline = clock.now().getTime() + lingerMsMax
  const connections = () => new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count ?? 0)))
  while ((await connections()) > 0 && clock.now().getTime() < deadline) await clock.wait(50)
}
