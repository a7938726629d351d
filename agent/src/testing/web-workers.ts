import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import type { FrontRoute } from '../host/host.ts'

/** An HTTP server in the test's own process that stands where a worker stands. */
export type WebWorker = {
  readonly port: number
  readonly server: Server
  readonly connections: () => Promise<number>
  /** Stops listening and breaks every connection, as a kill does. */
  readonly kill: () => Promise<void>
}

export const host = '127.0.0.1'
export const deployments = {
  one: '11111111-1111-4111-8111-111111111111',
  two: '22222222-2222-4222-8222-222222222222'
} as const

/** A release's digest that is easy to read in a failure. */
export const releaseNamed = (digit: string): string => digit.repeat(64)

/** Starts a worker; with `port`, on that one, as a worker is started again. */
export const startWebWorker = async (listener: RequestListener, port = 0): Promise<WebWorker> => {
  const server = createServer({ keepAliveTimeout: 5000 }, listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port, // a TCP server's address is never a path
    server,
    connections: () => new Promise((resolve) => server.getConnections((_, count) => resolve(count ?? 0))),
    kill: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

/** A route to these workers; everything but them has a default. */
export const routeTo = (workers: readonly { readonly port: number }[], route: Partial<FrontRoute> = {}): FrontRoute => ({
  hostNames: ['a.test'],
  path: '/',
  deployment: deployments.one,
  release: releaseNamed('a'),
  upstreams: workers.map(({ port }) => ({ host, port })),
  queueLength: 1000,
  ...route
})

/** Sends these bytes as they are and answers everything that came until the other side ended or reset the connection. */
export const sendRaw = (port: number, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, host)
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    const finish = () => resolve(Buffer.concat(chunks).toString('latin1'))
    socket.on('end', finish)
    // Who is refused in the middle of what it says may be reset after the answer.
    socket.on('error', (error) => (chunks.length > 0 ? finish() : reject(error)))
    socket.write(bytes, 'latin1')
  })

/** A port that nobody listens on. */
export const freePort = async (): Promise<number> => {
  const worker = await startWebWorker(() => undefined)
  await worker.kill()
  return worker.port
}
