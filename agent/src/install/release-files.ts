import { createHash } from 'node:crypto'
import { chmod, chown, constants, type FileHandle, link, mkdir, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ManifestFile, sliceBytes } from '@berth/shared/manifest'
import { mapBounded } from '../bounded.ts'
import type { PoolIdentity } from '../host/host.ts'

const filesMax = 8
const readBytes = 256 * 1024

/** Makes a folder that is ours and that the deployment's group may enter. */
export const makeFolder = async (path: string, identity: PoolIdentity | undefined): Promise<void> => {
  await mkdir(path, { recursive: true, mode: 0o750 })
  if (identity) await chown(path, process.getuid?.() ?? 0, identity.gid)
  await chmod(path, 0o750)
}

/** The folders that these files need, each before those in it; `.` is the release's own. */
export const foldersOf = (files: readonly ManifestFile[]): string[] => [
  '.',
  ...[...new Set(files.flatMap(({ path }) => ancestorsOf(path)))].sort()
]

/** Makes the folders, links what another release of the deployment has already, and answers the files that must be written. */
export const linkUnchanged = async (
  files: readonly ManifestFile[],
  others: readonly string[],
  target: string,
  identity: PoolIdentity | undefined,
  signal: AbortSignal
): Promise<ManifestFile[]> => {
  for (const path of foldersOf(files)) await makeFolder(join(target, path), identity)
  const toWrite: ManifestFile[] = []
  await mapBounded(files, filesMax, async (file) => {
    signal.throwIfAborted()
    for (const other of others) {
      const path = join(other, file.path)
      if (!(await isUnchanged(path, file))) continue
      await link(path, join(target, file.path))
      return
    }
    toWrite.push(file)
  })
  return toWrite
}

export type Slice = { readonly file: ManifestFile; readonly position: number }

/** Where each piece belongs: the same piece may stand in several files, and several times in one. */
export const slicesOf = (files: readonly ManifestFile[]): ReadonlyMap<string, readonly Slice[]> => {
  const slices = new Map<string, Slice[]>()
  for (const file of files)
    file.pieces.forEach((digest, n) => {
      const places = slices.get(digest) ?? []
      places.push({ file, position: n * sliceBytes })
      slices.set(digest, places)
    })
  return slices
}

/** Writes one slice at its place, making the file when this is the first of it; on disk for good when it answers. */
export const writeSlice = async (
  path: string,
  bytes: Uint8Array,
  { file, position }: Slice,
  identity: PoolIdentity | undefined
): Promise<void> => {
  const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  try {
    for (let written = 0; written < bytes.length; )
      written += (await handle.write(bytes, written, bytes.length - written, position + written)).bytesWritten
    if (identity) await handle.chown(process.getuid?.() ?? 0, identity.gid)
    await handle.chmod(file.executable ? 0o750 : 0o640)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const ancestorsOf = (path: string): string[] => {
  const segments = path.split('/').slice(0, -1)
  return segments.map((_, depth) => segments.slice(0, depth + 1).join('/'))
}

/** The digests are checked again: a file that rotted on this disk must not live on in the next release. */
const isUnchanged = async (path: string, file: ManifestFile): Promise<boolean> => {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile() || found.size !== file.size || (found.mode & 0o100) !== (file.executable ? 0o100 : 0)) return false
  const handle = await open(path, 'r')
  try {
    for (const [n, digest] of file.pieces.entries()) {
      const end = file.pieces.length === 1 ? file.size : Math.min((n + 1) * sliceBytes, file.size)
      if ((await digestOfRange(handle, n * sliceBytes, end)) !== digest) return false
    }
    return true
  } finally {
    await handle.close()
  }
}

const digestOfRange = async (handle: FileHandle, start: number, end: number): Promise<string> => {
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafe(readBytes)
  for (let position = start; position < end; ) {
    const { bytesRead } = await handle.read(chunk, 0, Math.min(readBytes, end - position), position)
    if (bytesRead === 0) break
    hash.update(chunk.subarray(0, bytesRead))
    position += bytesRead
  }
  return hash.digest('hex')
}
