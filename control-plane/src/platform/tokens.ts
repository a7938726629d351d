import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** A bearer token is `berth_<id>_<secret>`: the id finds the row, and only the secret's SHA-256 is kept in it. */
export const newSecret = (): { readonly secret: string; readonly hash: string } => {
  const secret = randomBytes(32).toString('hex')
  return { secret, hash: hashOf(secret) }
}

export const formatToken = (id: string, secret: string): string => `berth_${id.replaceAll('-', '')}_${secret}`

/** The parts of a token, or nothing when this is none of ours. */
export const parseToken = (token: string): { readonly id: string; readonly secret: string } | undefined => {
  const [, id, secret] = /^berth_([0-9a-f]{32})_([0-9a-f]{64})$/.exec(token) ?? []
  if (id === undefined || secret === undefined) return undefined
  return { id: id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'), secret }
}

/** Compares in constant time. */
export const isSecretOf = (secret: string, hash: string): boolean =>
  timingSafeEqual(Buffer.from(hashOf(secret), 'hex'), Buffer.from(hash, 'hex'))

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')
