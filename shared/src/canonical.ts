import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'

/** RFC 8785 JSON: the same value is always the same bytes, so that its digest means something. */
export const canonicalJson = (value: unknown): string => {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('a value that JSON cannot hold has no canonical form')
  return text
}

/** SHA-256 in lower-case hex: 64 characters. */
export const sha256Hex = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** The digest by which a JSON value is known everywhere in Berth. */
export const digestOf = (value: unknown): string => sha256Hex(canonicalJson(value))
