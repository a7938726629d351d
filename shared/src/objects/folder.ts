import type { FileHandle } from 'node:fs/promises'
import { rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { type Clock, systemClock } from '../clock.ts'
import { guarded } from './folder-errors.ts'
import { infoOf, listPage } from './folder-list.ts'
import { objectPath } from './folder-names.ts'
import { signUrl } from './folder-presign.ts'
import { sweepTemporary } from './folder-root.ts'
import { checkCondition, openCurrent, type PausePoint, publish, readCurrent, type Swap, windowDefault } from './folder-swap.ts'
import { type Draft, etagOf, headerBytes, writeDraft } from './folder-version.ts'
import { checkKey, checkPrefix, checkPresign, pageSize, resolveRange } from './key.ts'
import { type GetResult, type Objects, ObjectsError, type PutCondition } from './objects.ts'

export { createFolderStore } from './folder-root.ts'

type FolderOptions = {
  readonly root: string
  /** Without it this handle signs no URLs. */
  readonly presign?: { readonly origin: () => string; readonly secret: Uint8Array; readonly clock: Clock }
  /** The store's clock. */
  readonly clock?: Clock
}

/** What tests of the compare-and-swap change. */
type FolderInternals = { readonly window?: number; readonly pause?: (point: PausePoint) => Promise<void> }

// Up to here a body is read at once, so that nobody has to remember to end it.
const wholeBytesMax = 256 * 1024

/**
 * The object store as a folder that `createFolderStore` made. Any number of processes may use it at once; all are equals.
 * A root that is away makes every call `unavailable`, this one excepted, so that a process starts without its store; it is
 * never made anew. The content type is not kept, since nothing reads it back.
 */
export const folderObjects = async (
  { root, presign, clock = systemClock }: FolderOptions,
  { window = windowDefault, pause = async () => undefined }: FolderInternals = {}
): Promise<Objects> => {
  await sweepTemporary(root, clock.now()).catch(() => undefined)
  const swap: Swap = { root, now: clock.now, window, pause }

  const put: Objects['put'] = (key, body, { condition } = {}) =>
    guarded(`${key} cannot be put`, async () => {
      checkKey(key)
      // Asked before the body is read too: a refusal should not cost an upload.
      if (condition) checkCondition(key, condition, await readCurrent(root, objectPath(root, key)))
      return store(swap, key, await writeDraft(root, body, clock.now()), condition)
    })

  const get: Objects['get'] = (key, { range, ifNoneMatch } = {}) =>
    guarded(`${key} cannot be read`, async (): Promise<GetResult> => {
      const current = await openObject(root, key)
      if (!current) return { kind: 'missing' }
      const info = infoOf(key, current)
      try {
        if (info.etag === ifNoneMatch) {
          await current.file.close()
          return { kind: 'not-modified' }
        }
        const { start, end } = range ? resolveRange(key, range, info.size) : { start: 0, end: info.size - 1 }
        return { kind: 'found', info, body: await bodyOf(current.file, start, end) }
      } catch (error) {
        await current.file.close()
        throw error
      }
    })

  return {
    put,
    get,
    head: (key) =>
      guarded(`${key} cannot be looked at`, async () => {
        checkKey(key)
        const current = await readCurrent(root, objectPath(root, key))
        return current && !current.version.deleted ? infoOf(key, current) : undefined
      }),
    list: (prefix, { after, limit } = {}) =>
      guarded(`${prefix} cannot be listed`, async () => {
        checkPrefix(prefix)
        return listPage(root, { prefix, after, limit: pageSize(limit) })
      }),
    delete: (key) =>
      guarded(`${key} cannot be deleted`, async () => {
        checkKey(key)
        const current = await readCurrent(root, objectPath(root, key))
        if (!current || current.version.deleted) return
        await store(swap, key, await writeDraft(root, new Uint8Array(), clock.now(), true))
      }),
    copy: async (from, to) => {
      const source = await get(from)
      if (source.kind !== 'found') throw new ObjectsError('missing', `${from} does not exist; nothing was copied`)
      return put(to, source.body)
    },
    presignPut: async (key, { size, sha256, expiresInSeconds }) => {
      checkKey(key)
      checkPresign({ expiresInSeconds, size, sha256 })
      const headers = {
        'content-length': String(size),
        'if-none-match': '*',
        'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64')
      }
      return { method: 'PUT', url: sign('PUT', key, expiresInSeconds, headers), headers }
    },
    presignGet: async (key, { expiresInSeconds }) => {
      checkKey(key)
      checkPresign({ expiresInSeconds })
      return { url: sign('GET', key, expiresInSeconds, {}) }
    }
  }

  function sign(method: 'PUT' | 'GET', key: string, expiresInSeconds: number, headers: Readonly<Record<string, string>>): string {
    if (!presign) throw new ObjectsError('refused', 'this handle on the object store signs no URLs')
    const expires = Math.floor(presign.clock.now().getTime() / 1000) + expiresInSeconds
    return signUrl(presign.origin(), presign.secret, { method, key, expires, headers })
  }
}

const store = async (swap: Swap, key: string, draft: Draft, condition?: PutCondition): Promise<{ etag: string }> => {
  try {
    const number = await publish(swap, { key, path: objectPath(swap.root, key), draft, condition })
    return { etag: etagOf(draft.sha256, number) }
  } finally {
    await rm(draft.path, { force: true })
  }
}

const openObject = async (root: string, key: string) => {
  checkKey(key)
  const current = await openCurrent(root, objectPath(root, key))
  if (!current?.version.deleted) return current
  await current.file.close()
  return undefined
}

const bodyOf = async (file: FileHandle, start: number, end: number): Promise<Readable> => {
  const size = end - start + 1
  if (size > wholeBytesMax) return file.createReadStream({ start: headerBytes + start, end: headerBytes + end })
  const bytes = Buffer.alloc(size)
  if (size > 0) await file.read(bytes, 0, size, headerBytes + start)
  await file.close()
  return Readable.from([bytes])
}
