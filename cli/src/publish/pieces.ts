import { constants } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { sha256Hex } from '@berth/shared/canonical'
import { type Manifest, type ManifestFile, pieceBytesMax, sliceBytes } from '@berth/shared/manifest'
import { Refusal } from '@berth/shared/refusal'
import { type FileState, type FoundFile, type FoundFolder, stateOf } from './walk.ts'

/** Told after each piece that was read; the next one is read once it has answered. */
export type OnPiece = (path: string, bytes: number) => Promise<void> | void

/** A found file and the digests of its pieces. */
export type HashedFile = FoundFile & { readonly pieces: readonly string[] }

/** A folder whose every byte has been read once. */
export type HashedFolder = Omit<FoundFolder, 'files'> & { readonly files: readonly HashedFile[] }

/** Several files at once, because opening small ones takes longer than reading them; memory is bounded by this many pieces. */
const filesAtOnce = 4

/** Reads every file and names its pieces by their digests. Refuses a file that changes meanwhile. */
export const hashFolder = async (folder: FoundFolder, onPiece: OnPiece = () => undefined): Promise<HashedFolder> => {
  const hashed: HashedFile[] = new Array(folder.files.length)
  let next = 0
  const work = async () => {
    for (let index = next++; index < folder.files.length; index = next++) {
      const file = folder.files[index]
      if (file) hashed[index] = { ...file, pieces: await digestsOf(file, onPiece) }
    }
  }
  // The others stop at their next file when one has failed: none is left reading behind our back.
  const workers = Array.from({ length: filesAtOnce }, () =>
    work().catch((error: unknown) => {
      next = folder.files.length
      throw error
    })
  )
  const outcomes = await Promise.allSettled(workers)
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  return { ...folder, files: hashed }
}

/** The manifest of a hashed folder as a version of this application. */
export const manifestOf = (folder: HashedFolder, subscription: string, application: string): Manifest => ({
  format: 1,
  subscription,
  application,
  files: folder.files.map(({ path, size, executable, pieces }): ManifestFile => ({ path, size, executable, pieces: [...pieces] }))
})

/**
 * Reads a file piece by piece, and proves that it is the file the walk saw and that it did not change while it was read:
 * neither its place, nor its size, nor its time, and exactly its bytes.
 */
export const readPieces = async function* (file: FoundFile): AsyncGenerator<Buffer> {
  const handle = await open(file.location, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)).catch((cause: unknown) => {
    throw unreadable(file, cause)
  })
  try {
    checkState(file, stateOf(await handle.stat({ bigint: true })))
    for (const length of pieceLengths(file.size)) yield await readExactly(handle, file, length)
    if ((await handle.read(Buffer.alloc(1), 0, 1)).bytesRead > 0) throw changed(file)
    checkState(file, stateOf(await handle.stat({ bigint: true })))
  } finally {
    await handle.close()
  }
  const atEnd = await lstat(file.location, { bigint: true }).catch((cause: unknown) => {
    throw changed(file, cause)
  })
  checkState(file, stateOf(atEnd))
}

/** Fails as a file that changed does: what was read the second time is not what the manifest says. */
export const changed = (file: FoundFile, cause?: unknown): Refusal =>
  new Refusal('file_changed', `${file.path} changed while it was read; nothing was published: try again when it is still`, {
    cause
  })

const digestsOf = async (file: FoundFile, onPiece: OnPiece): Promise<string[]> => {
  const digests: string[] = []
  for await (const piece of readPieces(file)) {
    digests.push(sha256Hex(piece))
    await onPiece(file.path, piece.length)
  }
  return digests
}

/** One piece up to 8 MiB (an empty file has one, of nothing), else slices of 4 MiB. */
const pieceLengths = (size: number): number[] => {
  if (size <= pieceBytesMax) return [size]
  const whole = Math.floor(size / sliceBytes)
  const rest = size % sliceBytes
  return [...new Array<number>(whole).fill(sliceBytes), ...(rest > 0 ? [rest] : [])]
}

const readExactly = async (handle: FileHandle, file: FoundFile, length: number): Promise<Buffer> => {
  const piece = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(piece, filled, length - filled)
    if (bytesRead === 0) throw changed(file)
    filled += bytesRead
  }
  return piece
}

const checkState = (file: FoundFile, now: FileState): void => {
  const { device, inode, size, modified } = file.state
  if (now.device !== device || now.inode !== inode || now.size !== size || now.modified !== modified) throw changed(file)
}

const unreadable = (file: FoundFile, cause: unknown): Refusal => {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOENT' || code === 'ELOOP') return changed(file, cause)
  return new Refusal('unreadable_file', `${file.path} cannot be read (${String(code)}); nothing was published`, { cause })
}
