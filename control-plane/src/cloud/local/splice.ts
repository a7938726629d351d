import type { Socket } from 'node:net'

/** How the server's side of a connection ended before the client's did: in order, or by a reset. */
export type ServerEnd = { readonly reason: 'closed' | 'reset'; readonly bytesFromServer: number }

export type SpliceEvents = {
  /** The server's side ended first. Called at most once. */
  readonly onServerEnd: (end: ServerEnd) => void
  /** The connection to the server is closed. Called once. */
  readonly onClosed: () => void
}

/**
 * Joins two connections: bytes and half-closes pass both ways, a reset on one side is a reset on the other.
 * Both sockets must allow being half open.
 */
export const splice = (client: Socket, server: Socket, { onServerEnd, onClosed }: SpliceEvents): void => {
  const serverEnds = (reason: ServerEnd['reason']) => {
    if (!client.readableEnded && !client.destroyed) onServerEnd({ reason, bytesFromServer: server.bytesRead })
  }

  server.once('end', () => serverEnds('closed'))
  server.once('error', () => {
    if (!server.readableEnded) serverEnds('reset')
    client.resetAndDestroy()
  })
  client.once('error', () => server.resetAndDestroy())
  client.once('close', () => {
    // Its own end was passed on as an end; closed without one it went away in the middle.
    if (!client.readableEnded) server.destroy()
  })
  server.once('close', () => {
    if (!server.readableEnded) client.destroy()
    onClosed()
  })

  client.pipe(server)
  server.pipe(client)
}
