import { Readable } from 'node:stream'
import { sha256Hex } from '@berth/shared/canonical'
import { type ObjectBody, type ObjectInfo, type Objects, ObjectsError, type PutCondition } from '@berth/shared/objects/objects'

type Stored = { readonly bytes: Buffer; readonly info: ObjectInfo }

/**
 * A store in memory that keeps the door's promises about conditions, for tests that need thousands of interleavings.
 * `onPut` sees every write at the moment at which it takes effect.
 */
export const memoryObjects = (onPut: (key: string, bytes: Buffer) => void = () => undefined): Objects => {
  const stored = new Map<string, Stored>()
  let writes = 0

  const holds = (condition: PutCondition | undefined, present: Stored | undefined): boolean => {
    if (condition === undefined) return true
    return 'ifMatch' in condition ? present?.info.etag === condition.ifMatch : present === undefined
  }
  const store = (key: string, bytes: Buffer) => {
    writes += 1
    const info = { key, size: bytes.length, etag: `"${writes}-${sha256Hex(bytes).slice(0, 8)}"`, lastModified: new Date(writes) }
    stored.set(key, { bytes, info })
    onPut(key, bytes)
    return { etag: info.etag }
  }
  const refuse = async (): Promise<never> => {
    throw new ObjectsError('refused', 'a store in memory has no address')
  }

  return {
    put: async (key, body, { condition } = {}) => {
      const bytes = await bytesOf(body)
      if (!holds(condition, stored.get(key))) throw new ObjectsError('precondition_failed', `${key} is not as expected`)
      return store(key, bytes)
    },
    get: async (key, { range, ifNoneMatch } = {}) => {
      const found = stored.get(key)
      if (!found) return { kind: 'missing' }
      if (ifNoneMatch === found.info.etag) return { kind: 'not-modified' }
      const bytes = range ? found.bytes.subarray(range.start, (range.end ?? found.bytes.length - 1) + 1) : found.bytes
      return { kind: 'found', info: found.info, body: Readable.from([bytes]) }
    },
    head: async (key) => stored.get(key)?.info,
    list: async (prefix, { after = '', limit = 1000 } = {}) => {
      const objects = [...stored.values()]
        .map(({ info }) => info)
        .filter(({ key }) => key.startsWith(prefix) && key > after)
        .toSorted((a, b) => (a.key < b.key ? -1 : 1))
      const last = objects[limit - 1]
      return last && objects.length > limit ? { objects: objects.slice(0, limit), next: last.key } : { objects }
    },
    delete: async (key) => {
      stored.delete(key)
    },
    copy: async (from, to) => {
      const found = stored.get(from)
      if (!found) throw new ObjectsError('missing', `no object ${from}`)
      return store(to, found.bytes)
    },
    presignPut: refuse,
    presignGet: refuse
  }
}

const bytesOf = async (body: ObjectBody): Promise<Buffer> => {
  if (body instanceof Uint8Array) return Buffer.from(body)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
