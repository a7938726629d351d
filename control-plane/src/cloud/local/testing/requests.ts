import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'

export type Answer = { readonly status: number; readonly body: string; readonly localPort: number }

/** One request, on a new connection unless `agent` keeps one. */
export const ask = (o: {
  readonly host: string
  readonly port: number
  readonly name?: string
  readonly path?: string
  readonly agent?: Agent
}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const outgoing = request(
      { host: o.host, port: o.port, path: o.path ?? '/', agent: o.agent ?? false, headers: o.name ? { host: o.name } : {} },
      (incoming) => {
        const localPort = incoming.socket.localPort ?? 0
        const chunks: Buffer[] = []
        incoming.on('data', (chunk) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), localPort })
        )
      }
    )
    outgoing.on('error', reject)
    outgoing.end()
  })

export const keptAlive = () => new Agent({ keepAlive: true, maxSockets: 1 })

/** A raw connection, open as soon as it resolves. */
export const open = (host: string, port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })

/** Everything that comes until the other side ends or resets the connection. */
export const readAll = (socket: Socket): Promise<{ readonly text: string; readonly how: 'ended' | 'reset' }> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = []
    const text = () => Buffer.concat(chunks).toString('utf8')
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.once('end', () => resolve({ text: text(), how: 'ended' }))
    socket.once('error', () => resolve({ text: text(), how: 'reset' }))
  })
