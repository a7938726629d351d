import { createHmac, timingSafeEqual } from 'node:crypto'
import { canonicalJson } from '../canonical.ts'

/** Everything that the signature of a presigned URL covers. */
type SignedRequest = {
  readonly method: 'PUT' | 'GET'
  readonly key: string
  /** Seconds since 1970. */
  readonly expires: number
  /** Lower-case names; these must come exactly so. */
  readonly headers: Readonly<Record<string, string>>
}

/** The headers that a presigned request must carry, as S3's do. */
export const signedHeaders = { PUT: ['content-length', 'if-none-match', 'x-amz-checksum-sha256'], GET: [] } as const

/** The key stands in the query: in a path, clients would resolve its dot segments. */
export const signUrl = (origin: string, secret: Uint8Array, request: SignedRequest): string => {
  const query = new URLSearchParams({
    key: request.key,
    expires: String(request.expires),
    headers: Object.keys(request.headers).join(';'),
    signature: signatureOf(secret, request).toString('base64url')
  })
  return `${origin}/object?${query}`
}

/** Whether somebody who holds the secret signed this request. Takes as long for every wrong signature. */
export const isSigned = (secret: Uint8Array, request: SignedRequest, signature: string): boolean => {
  const expected = signatureOf(secret, request)
  const given = Buffer.from(signature, 'base64url')
  return given.length === expected.length && timingSafeEqual(given, expected)
}

const signatureOf = (secret: Uint8Array, request: SignedRequest): Buffer =>
  createHmac('sha256', secret)
    .update(canonicalJson({ scheme: 'berth-objects-1', ...request }))
    .digest()
