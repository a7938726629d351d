import { type Objects, ObjectsError } from './objects.ts'

/**
 * What a handle may do. An entry that ends in a slash admits every key below it; any other entry admits exactly that key.
 * A segment that is a star stands for any one segment.
 */
export type ObjectsScope = {
  /** Get, head, list, and copy from. */
  readonly read?: readonly string[]
  /** Put, and copy to. */
  readonly write?: readonly string[]
  readonly delete?: readonly string[]
  readonly presign?: readonly string[]
}

/** A handle on the same store that may do only what is listed. It stands for what a policy allows a role on AWS. */
export const scopedObjects = (objects: Objects, scope: ObjectsScope): Objects => {
  const check = (act: keyof ObjectsScope, key: string): void => {
    if (!(scope[act] ?? []).some((entry) => admits(entry, key)))
      throw new ObjectsError('refused', `this handle on the object store may not ${act} ${key}`)
  }
  return {
    put: async (key, body, options) => {
      check('write', key)
      return objects.put(key, body, options)
    },
    get: async (key, options) => {
      check('read', key)
      return objects.get(key, options)
    },
    head: async (key) => {
      check('read', key)
      return objects.head(key)
    },
    list: async (prefix, options) => {
      check('read', prefix)
      return objects.list(prefix, options)
    },
    delete: async (key) => {
      check('delete', key)
      return objects.delete(key)
    },
    copy: async (from, to) => {
      check('read', from)
      check('write', to)
      return objects.copy(from, to)
    },
    presignPut: async (key, options) => {
      check('presign', key)
      return objects.presignPut(key, options)
    },
    presignGet: async (key, options) => {
      check('presign', key)
      return objects.presignGet(key, options)
    }
  }
}

const admits = (entry: string, key: string): boolean => {
  const pattern = entry.split('/')
  const segments = key.split('/')
  const isBelow = pattern.at(-1) === ''
  if (isBelow) pattern.pop()
  if (isBelow ? segments.length <= pattern.length : segments.length !== pattern.length) return false
  return pattern.every((part, index) => part === segments[index] || (part === '*' && segments[index] !== ''))
}
