import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../clock.ts'
import { Refusal } from '../refusal.ts'
import { isSigned, signedHeaders } from './folder-presign.ts'
import { type ByteRange, type ObjectInfo, type Objects, ObjectsError } from './objects.ts'

export type FolderOrigin = { readonly url: string; readonly close: () => Promise<void> }

// A large upload over a slow line takes its time.
const requestMsMax = 60 * 60 * 1000

/**
 * The origin of a folder store's presigned URLs: what S3 itself is for the other side. It holds no session and no cookie, and
 * answers everything as a download, so that nothing stored can act in a browser.
 */
export const serveFolderOrigin = async (o: {
  readonly objects: Objects
  readonly secret: Uint8Array
  readonly host: string
  readonly port: number
  readonly clock: Clock
  /** Told of every failure that is not the caller's: the caller only learns that it failed. */
  readonly onFailure?: (error: unknown) => void
}): Promise<FolderOrigin> => {
  const server = createServer({ requestTimeout: requestMsMax }, (request, response) => {
    answer(o, request, response).catch((error: unknown) => refuse(response, error, o.onFailure))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(o.port, o.host, resolve)
  })
  const { address, family, port } = server.address() as AddressInfo // a TCP listener always has one
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

type Origin = { readonly objects: Objects; readonly secret: Uint8Array; readonly clock: Clock }

const answer = async (origin: Origin, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { method, key } = authorize(origin, request)
  if (method === 'GET') return sendObject(origin.objects, key, request, response)
  const body = verifiedBody(request)
  const { etag } = await origin.objects.put(key, body, { condition: { ifNoneMatch: '*' } })
  response.writeHead(200, { etag }).end()
}

/** Refuses whatever nobody signed: another key, another method, another value in a signed header, a later hour. */
const authorize = ({ secret, clock }: Origin, request: IncomingMessage): { method: 'PUT' | 'GET'; key: string } => {
  const { method } = request
  if (method !== 'PUT' && method !== 'GET') throw new Refusal('bad_method', 'only PUT and GET are answered here')
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://origin')
  const [key, expires, signature] = ['key', 'expires', 'signature'].map((name) => searchParams.get(name))
  if (pathname !== '/object' || !key || !signature || !expires || !/^\d{1,12}$/.test(expires))
    throw new Refusal('bad_url', 'this is not a URL that was made by presigning')

  const headers: Record<string, string> = {}
  for (const name of signedHeaders[method]) headers[name] = String(request.headers[name] ?? '')
  if (!isSigned(secret, { method, key, expires: Number(expires), headers }, signature))
    throw new Refusal('bad_signature', 'the signature does not match; send exactly the method, URL and headers that were signed')
  if (Number(expires) * 1000 < clock.now().getTime()) throw new Refusal('expired', 'this URL has expired; ask for a new one')
  return { method, key }
}

/** The body as it comes; it fails at its end, and so is never stored, when it is not what was signed. */
const verifiedBody = async function* (request: IncomingMessage): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of request) {
    hash.update(chunk)
    size += chunk.length
    yield chunk
  }
  if (size !== Number(request.headers['content-length']))
    throw new Refusal('bad_length', `${size} bytes came, not the ${request.headers['content-length']} that were signed`)
  const expected = Buffer.from(String(request.headers['x-amz-checksum-sha256']), 'base64')
  const actual = hash.digest()
  if (expected.length !== actual.length || !timingSafeEqual(expected, actual))
    throw new Refusal('bad_checksum', 'the bytes do not have the SHA-256 that was signed; nothing was stored')
}

const sendObject = async (objects: Objects, key: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const range = await wantedRange(objects, key, request.headers.range)
  const ifNoneMatch = request.headers['if-none-match']
  const found = await objects.get(key, { ...(range ? { range } : {}), ...(ifNoneMatch ? { ifNoneMatch } : {}) })
  if (found.kind === 'missing') throw new ObjectsError('missing', 'there is no such object')
  if (found.kind === 'not-modified') {
    response.writeHead(304).end()
    return
  }
  response.writeHead(range ? 206 : 200, headersOf(found.info, range))
  await pipeline(found.body, response)
}

const headersOf = (info: ObjectInfo, range: ByteRange | undefined): Record<string, string> => {
  const start = range?.start ?? 0
  const end = Math.min(range?.end ?? info.size - 1, info.size - 1)
  return {
    'content-type': 'application/octet-stream',
    'content-disposition': 'attachment',
    'x-content-type-options': 'nosniff',
    'content-length': String(end - start + 1),
    'accept-ranges': 'bytes',
    etag: info.etag,
    'last-modified': info.lastModified.toUTCString(),
    ...(range ? { 'content-range': `bytes ${start}-${end}/${info.size}` } : {})
  }
}

/** One range of bytes; several, or what is none, are answered whole, as HTTP allows. */
const wantedRange = async (objects: Objects, key: string, header: string | undefined): Promise<ByteRange | undefined> => {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if (first !== '') return last === '' ? { start: Number(first) } : { start: Number(first), end: Number(last) }
  if (last === '') return undefined
  const size = (await objects.head(key))?.size ?? 0
  return { start: Math.max(0, size - Number(last)) }
}

const statusByCode: Readonly<Record<string, number>> = {
  bad_method: 405,
  bad_url: 400,
  bad_signature: 403,
  expired: 403,
  bad_length: 400,
  bad_checksum: 400,
  precondition_failed: 412,
  conflict: 409,
  missing: 404,
  refused: 416,
  unavailable: 503
}

const refuse = (response: ServerResponse, error: unknown, onFailure?: (error: unknown) => void): void => {
  const expected = (error instanceof Refusal || error instanceof ObjectsError) && error.code !== 'unavailable'
  if (!expected) onFailure?.(error)
  // Half an answer cannot be taken back: ending the connection tells the client that it is not whole.
  if (response.headersSent) return void response.destroy()
  const { code, message } = expected ? error : { code: 'unavailable', message: 'the object store cannot answer now; try again' }
  response.writeHead(statusByCode[code] ?? 400, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' })
  response.end(JSON.stringify({ code, message }))
}
