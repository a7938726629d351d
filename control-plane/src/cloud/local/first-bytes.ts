/** What the first bytes of a connection say about the host it is meant for; `more` when they do not say it yet. */
export type FirstBytes =
  | { readonly kind: 'more' }
  | { readonly kind: 'host'; readonly host: string; readonly tls: boolean }
  | { readonly kind: 'none'; readonly tls: boolean }

const more: FirstBytes = { kind: 'more' }
const handshakeRecord = 0x16
const clientHello = 1
const serverNameExtension = 0
const hostNameType = 0

/** Reads the host from the start of an HTTP/1 request, or from the server name in a TLS ClientHello. */
export const readFirstBytes = (bytes: Buffer): FirstBytes => {
  if (bytes.length === 0) return more
  return bytes[0] === handshakeRecord ? readClientHello(bytes) : readRequest(bytes)
}

const readRequest = (bytes: Buffer): FirstBytes => {
  const end = bytes.indexOf('\r\n\r\n')
  // Only whole lines are looked at: the last one may still be on its way.
  const lines = bytes.toString('latin1', 0, end === -1 ? Math.max(bytes.lastIndexOf('\r\n'), 0) : end).split('\r\n')
  for (const line of lines.slice(1)) {
    const [, value] = /^host:[ \t]*([^ \t]*)[ \t]*$/i.exec(line) ?? []
    if (value === undefined) continue
    const host = normalHost(value)
    return host ? { kind: 'host', host, tls: false } : { kind: 'none', tls: false }
  }
  return end === -1 ? more : { kind: 'none', tls: false }
}

/** Lower case, without port and without the dot that a full name may end with. */
const normalHost = (value: string): string => value.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()

/**
 * The record layer: type (1), version (2), length (2). A ClientHello may be cut into several records; their payloads are
 * put together first.
 */
const readClientHello = (bytes: Buffer): FirstBytes => {
  const none: FirstBytes = { kind: 'none', tls: true }
  const payloads: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + 5 > bytes.length) break
    if (bytes[at] !== handshakeRecord) return none
    const length = bytes.readUInt16BE(at + 3)
    payloads.push(bytes.subarray(at + 5, at + 5 + length))
    at += 5 + length
  }
  const handshake = Buffer.concat(payloads)
  if (handshake.length < 4) return more
  if (handshake[0] !== clientHello) return none
  const length = handshake.readUIntBE(1, 3)
  if (handshake.length < 4 + length) return more
  try {
    const host = findServerName(handshake.subarray(4, 4 + length))
    return host ? { kind: 'host', host: normalHost(host), tls: true } : none
  } catch (error) {
    // A length inside that points beyond the message: reading past the end is a RangeError.
    if (error instanceof RangeError) return none
    throw error
  }
}

/** version (2), random (32), then session id, cipher suites and compression methods, each behind its length; extensions last. */
const findServerName = (hello: Buffer): string | undefined => {
  let at = 34
  at += 1 + hello.readUInt8(at)
  at += 2 + hello.readUInt16BE(at)
  at += 1 + hello.readUInt8(at)
  if (at === hello.length) return undefined
  const end = at + 2 + hello.readUInt16BE(at)
  at += 2
  while (at < end) {
    const type = hello.readUInt16BE(at)
    const length = hello.readUInt16BE(at + 2)
    // The extension: length of the list (2), then entries of type (1), length (2), name.
    if (type === serverNameExtension && hello.readUInt8(at + 6) === hostNameType) {
      const nameLength = hello.readUInt16BE(at + 7)
      return hello.toString('latin1', at + 9, at + 9 + nameLength)
    }
    at += 4 + length
  }
  return undefined
}
