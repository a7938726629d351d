import type { Readable } from 'node:stream'
import { Refusal } from '../refusal.ts'
import { type ByteRange, type ObjectInfo, type Objects, ObjectsError } from './objects.ts'

const bytesMaxDefault = 64 * 1024 * 1024

/** The object's bytes (or those of `range`), or nothing when there is no such object. More than `bytesMax` are refused before they are read. */
export const getBytes = async (
  objects: Objects,
  key: string,
  { bytesMax = bytesMaxDefault, range }: { readonly bytesMax?: number; readonly range?: ByteRange } = {}
): Promise<Buffer | undefined> => {
  const result = await objects.get(key, range ? { range } : {})
  return result.kind === 'found' ? readBody(result, bytesMax, range) : undefined
}

type ChangedBytes =
  | { readonly kind: 'found'; readonly bytes: Buffer; readonly etag: string; readonly lastModified: Date }
  | { readonly kind: 'not-modified' }
  | { readonly kind: 'missing' }

/** One conditional look: the bytes only when the object is no longer the one that had `etag`. */
export const getIfChanged = async (
  objects: Objects,
  key: string,
  etag?: string,
  { bytesMax = bytesMaxDefault }: { readonly bytesMax?: number } = {}
): Promise<ChangedBytes> => {
  const result = await objects.get(key, etag === undefined ? {} : { ifNoneMatch: etag })
  if (result.kind !== 'found') return result
  const { etag: newEtag, lastModified } = result.info
  return { kind: 'found', bytes: await readBody(result, bytesMax), etag: newEtag, lastModified }
}

const readBody = async (
  { info, body }: { readonly info: ObjectInfo; readonly body: Readable },
  bytesMax: number,
  range?: ByteRange
): Promise<Buffer> => {
  const size = range ? Math.min(range.end ?? info.size - 1, info.size - 1) - range.start + 1 : info.size
  if (size > bytesMax) {
    body.destroy()
    throw new Refusal('too_large', `${info.key} has ${size} bytes, more than the ${bytesMax} that are accepted here`)
  }
  const bytes = await collect(info.key, body)
  // A connection that ends early must never pass for a shorter object.
  if (bytes.length !== size) throw new ObjectsError('unavailable', `${info.key}: only ${bytes.length} of ${size} bytes came`)
  return bytes
}

const collect = async (key: string, body: Readable): Promise<Buffer> => {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of body) chunks.push(chunk)
  } catch (cause) {
    if (cause instanceof ObjectsError) throw cause
    throw new ObjectsError('unavailable', `${key}: reading stopped before its end`, cause)
  }
  return Buffer.concat(chunks)
}
