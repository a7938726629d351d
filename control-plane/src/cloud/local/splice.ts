import type { Socket } from 'node:net'

/** How a spliced connection came to its end: `server` when the server's side ended before the client's did. */
export type SpliceEnd = {
  readonly by: 'client' | 'server'
  readonly reason: 'closed' | 'reset'
  readonly bytesFromServer: number
}

/**
 * Joins two connections: bytes and half-closes pass both ways, a reset on one side is a reset on the other.
 * Both sockets must allow being half open. `onEnd` is called once, when the server's side is closed.
 */
export const splice = (client: Socket, server: Socket, onEnd: (end: SpliceEnd) => void): void => {
  let by: SpliceEnd['by'] = 'client'
  let reason: SpliceEnd['reason'] = 'closed'

  server.once('end', () => {
    if (!client.readableEnded && !client.destroyed) by = 'server'
  })
  server.once('error', () => {
    if (!client.destroyed) by = 'server'
    reason = 'reset'
    client.resetAndDestroy()
  })
  client.once('error', () => server.resetAndDestroy())
  client.once('close', () => {
    // Its own end was passed on as an end; closed without one it went away in the middle.
    if (!client.readableEnded) server.destroy()
  })
  server.once('close', () => {
    if (!server.readableEnded) client.destroy()
    onEnd({ by, reason, bytesFromServer: server.bytesRead })
  })

  client.pipe(server)
  server.pipe(client)
}
