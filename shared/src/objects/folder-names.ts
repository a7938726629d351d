import { join } from 'node:path'

/**
 * How keys become paths. Each segment of a key is a folder; the object itself is a folder whose name ends in `@`, so that a key
 * may also be the beginning of another. Every byte but `a-z 0-9 _ - .` is written `%xx`, as is a leading dot: no key leaves the
 * root, meets `.tmp`, or collides with another where the file system ignores case. An empty segment is a lone `%`. A segment of
 * `chunkBytes` or more is cut into folders that end in `~`, since names of files are limited.
 *
 * Chunks of exactly `chunkBytes` are always cut off, even with nothing behind: so no name in a folder is the beginning of the
 * keys below another one, and walking a folder's names in order yields keys in order.
 */
const chunkBytes = 80

/** Where the object with this key lies. */
export const objectPath = (root: string, key: string): string => {
  const segments = key.split('/').map(segmentNames)
  return `${join(root, ...segments.flat())}@`
}

/** The folder that holds everything below a prefix's whole segments, and those segments with their slash. */
export const folderOfPrefix = (root: string, prefix: string): { path: string; covered: string } => {
  const covered = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  const segments = covered.split('/').slice(0, -1).map(segmentNames)
  return { path: join(root, ...segments.flat()), covered }
}

type FolderEntry = {
  readonly name: string
  readonly kind: 'object' | 'folder'
  /** What this entry adds to the key: for a folder with its slash, unless it is a chunk of a longer segment. */
  readonly adds: Buffer
}

/** Reads a name back; nothing for names that are not ours (`.tmp`, the marker, what a system drops into folders). */
export const parseName = (name: string): FolderEntry | undefined => {
  const suffix = name.endsWith('@') || name.endsWith('~') ? name.at(-1) : undefined
  const bytes = unescapeBytes(suffix ? name.slice(0, -1) : name)
  if (!bytes) return undefined
  if (suffix === '@') return { name, kind: 'object', adds: bytes }
  return { name, kind: 'folder', adds: suffix === '~' ? bytes : Buffer.concat([bytes, Buffer.from('/')]) }
}

const segmentNames = (segment: string): string[] => {
  const names: string[] = []
  let rest = Buffer.from(segment)
  for (; rest.length >= chunkBytes; rest = rest.subarray(chunkBytes)) names.push(`${escapeBytes(rest.subarray(0, chunkBytes))}~`)
  return [...names, escapeBytes(rest)]
}

const escapeBytes = (bytes: Buffer): string => {
  if (bytes.length === 0) return '%'
  const text = bytes.toString('latin1').replace(/[^a-z0-9_.-]/g, escapeByte)
  return text.startsWith('.') ? `%2e${text.slice(1)}` : text
}

const escapeByte = (byte: string): string => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`

const unescapeBytes = (text: string): Buffer | undefined => {
  if (text === '%') return Buffer.alloc(0)
  if (!/^(?!\.)(?:[a-z0-9_.-]|%[0-9a-f]{2})+$/.test(text)) return undefined
  return Buffer.from(
    text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1'
  )
}
