import { join } from 'node:path'
import { folderOfPrefix, parseName } from './folder-names.ts'
import { namesIn, whileRootStays } from './folder-root.ts'
import { type Current, readCurrent } from './folder-swap.ts'
import { etagOf } from './folder-version.ts'
import type { ListPage, ObjectInfo } from './objects.ts'

/** What the door says about a version. */
export const infoOf = (key: string, { number, version }: Omit<Current, 'file'>): ObjectInfo => ({
  key,
  size: version.size,
  etag: etagOf(version.sha256, number),
  lastModified: version.createdAt
})

/** One page of the objects below a prefix, in the order of their keys' bytes. Folders that cannot hold any of them are not read. */
export const listPage = (root: string, o: { prefix: string; after?: string | undefined; limit: number }): Promise<ListPage> =>
  whileRootStays(root, async () => {
    const objects: ObjectInfo[] = []
    const start = folderOfPrefix(root, o.prefix)
    const bounds = { prefix: Buffer.from(o.prefix), after: Buffer.from(o.after ?? '') }
    for await (const info of walk(root, start.path, Buffer.from(start.covered), bounds)) {
      const last = objects.at(-1)
      if (last && objects.length === o.limit) return { objects, next: last.key }
      objects.push(info)
    }
    return { objects }
  })

type Bounds = { readonly prefix: Buffer; readonly after: Buffer }

const walk = async function* (root: string, path: string, begin: Buffer, bounds: Bounds): AsyncGenerator<ObjectInfo> {
  const entries = (await namesIn(path)).map(parseName).filter((entry) => entry !== undefined)
  for (const entry of entries.sort((a, b) => Buffer.compare(a.adds, b.adds))) {
    const bytes = Buffer.concat([begin, entry.adds])
    if (entry.kind === 'folder') {
      if (mayHold(bytes, bounds)) yield* walk(root, join(path, entry.name), bytes, bounds)
    } else if (isWanted(bytes, bounds)) {
      const current = await readCurrent(root, join(path, entry.name))
      if (current && !current.version.deleted) yield infoOf(bytes.toString(), current)
    }
  }
}

const isWanted = (key: Buffer, { prefix, after }: Bounds): boolean => startsWith(key, prefix) && Buffer.compare(key, after) > 0

// All keys in a folder start with `begin`: they may lie behind `after` if `begin` does, or if `after` itself is one of them.
const mayHold = (begin: Buffer, { prefix, after }: Bounds): boolean =>
  (startsWith(begin, prefix) || startsWith(prefix, begin)) && (Buffer.compare(begin, after) > 0 || startsWith(after, begin))

const startsWith = (bytes: Buffer, begin: Buffer): boolean => bytes.subarray(0, begin.length).equals(begin)
