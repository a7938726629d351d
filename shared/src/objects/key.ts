import { ObjectsError, type PutCondition } from './objects.ts'

const keyBytesMax = 1024
const pageMax = 1000
const expirySecondsMax = 7 * 24 * 60 * 60
const singlePutBytesMax = 5 * 1024 ** 3

/** Refuses what S3 would refuse as a key; both sides of the door ask here, so that they refuse the same. */
export const checkKey = (key: string): void => {
  if (key === '' || !key.isWellFormed() || Buffer.byteLength(key) > keyBytesMax)
    throw new ObjectsError('refused', `not a key: a key has 1 to ${keyBytesMax} bytes of well-formed Unicode`)
}

/** A list stays inside one bucket, so its prefix holds the whole first segment and the slash behind it. */
export const checkPrefix = (prefix: string): void => {
  checkKey(prefix)
  if (!prefix.includes('/'))
    throw new ObjectsError('refused', `cannot list ${prefix}: a prefix holds its first segment and a slash`)
}

/** How many objects one page of a list holds. */
export const pageSize = (limit = pageMax): number => {
  if (!Number.isInteger(limit) || limit < 1)
    throw new ObjectsError('refused', `cannot list ${limit} objects: ask for 1 to ${pageMax}`)
  return Math.min(limit, pageMax)
}

/** Refuses what cannot be presigned: S3's limits, on both sides. */
export const checkPresign = (o: {
  readonly expiresInSeconds: number
  readonly size?: number
  readonly sha256?: string
}): void => {
  if (!Number.isInteger(o.expiresInSeconds) || o.expiresInSeconds < 1 || o.expiresInSeconds > expirySecondsMax)
    throw new ObjectsError('refused', `cannot presign for ${o.expiresInSeconds} s: 1 to ${expirySecondsMax} whole seconds`)
  if (o.size !== undefined && (!Number.isInteger(o.size) || o.size < 0 || o.size > singlePutBytesMax))
    throw new ObjectsError('refused', `cannot presign ${o.size} bytes: 0 to ${singlePutBytesMax}`)
  if (o.sha256 !== undefined && !/^[0-9a-f]{64}$/.test(o.sha256))
    throw new ObjectsError('refused', 'cannot presign: sha256 is 64 lower-case hex characters')
}

/** A range that starts behind the last byte has nothing to answer; `undefined` ends mean the last byte. */
export const resolveRange = (
  key: string,
  range: { readonly start: number; readonly end?: number },
  size: number
): { start: number; end: number } => {
  const end = Math.min(range.end ?? size - 1, size - 1)
  if (!Number.isInteger(range.start) || range.start < 0 || range.start > end) throw badRange(key)
  return { start: range.start, end }
}

/** The error of a range that does not lie in the object. */
export const badRange = (key: string, cause?: unknown): ObjectsError =>
  new ObjectsError('refused', `${key}: that range of bytes does not lie in the object`, cause)

/** The error of a condition that does not hold. */
export const preconditionFailed = (key: string, condition: PutCondition, cause?: unknown): ObjectsError =>
  new ObjectsError(
    'precondition_failed',
    'ifMatch' in condition
      ? `${key} is no longer the object with the ETag ${condition.ifMatch}; nothing was written`
      : `${key} exists already; nothing was written`,
    cause
  )
