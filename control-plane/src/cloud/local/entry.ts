import type { Socket } from 'node:net'
import type { Clock } from '@berth/shared/clock'
import { readFirstBytes } from './first-bytes.ts'

const firstBytesMax = 16 * 1024
const firstBytesMsMax = 10_000
const lastBytesMsMax = 2000
/** TLS alert: fatal, unrecognized_name. */
const unknownName = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70])

export type EntryDeps = {
  readonly clock: Clock
  readonly fleetOf: (host: string) => string | undefined
  readonly balance: (fleet: string, client: Socket) => void
}

/**
 * The entry stands in for DNS: the host of a connection's first request, or the server name of its TLS handshake, says to
 * which fleet the whole connection goes. Later requests are never looked at.
 */
export const entry =
  ({ clock, fleetOf, balance }: EntryDeps) =>
  (client: Socket): void => {
    const waiting = new AbortController()
    let seen: Buffer = Buffer.alloc(0)

    const stopReading = () => {
      waiting.abort()
      client.off('data', read)
      client.off('end', giveUp)
      client.off('error', giveUp)
    }
    const giveUp = () => {
      stopReading()
      client.once('error', () => undefined)
      client.destroy()
    }
    const read = (chunk: Buffer) => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
      const found = readFirstBytes(seen)
      if (found.kind === 'more') {
        if (seen.length >= firstBytesMax) giveUp()
        return
      }
      stopReading()
      const fleet = found.kind === 'host' ? fleetOf(found.host) : undefined
      if (fleet === undefined) return refuse(client, found.tls ? unknownName : pageFor(found), clock)
      client.pause()
      client.unshift(seen)
      balance(fleet, client)
    }

    client.on('data', read)
    client.once('end', giveUp)
    client.once('error', giveUp)
    void clock.wait(firstBytesMsMax, waiting.signal).then(() => {
      if (!waiting.signal.aborted) giveUp()
    })
  }

/** Says it and closes; what the client still sends is read for a moment, or its system would throw our answer away. */
const refuse = (client: Socket, answer: Uint8Array, clock: Clock) => {
  const over = new AbortController()
  client.once('error', () => client.destroy())
  client.once('close', () => over.abort())
  client.resume()
  client.end(answer)
  void clock.wait(lastBytesMsMax, over.signal).then(() => client.destroy())
}

const pageFor = (found: { readonly kind: 'none' } | { readonly kind: 'host'; readonly host: string }): Buffer => {
  const [status, body] =
    found.kind === 'none'
      ? ['400 Bad Request', 'The request does not say which host it is meant for.\n']
      : ['404 Not Found', `There is no site with the name ${printable(found.host)} here.\n`]
  return Buffer.from(
    [
      `HTTP/1.1 ${status}`,
      'content-type: text/plain; charset=utf-8',
      'x-content-type-options: nosniff',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body
    ].join('\r\n')
  )
}

const printable = (host: string) => host.replace(/[^\x20-\x7e]/g, '?').slice(0, 253)
