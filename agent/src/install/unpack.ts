import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createZstdDecompress } from 'node:zlib'
import { Refusal } from '@berth/shared/refusal'
import { Unpack } from 'tar'

/**
 * Unpacks a `.tar.zst` into an empty folder. Only plain files and folders below it are accepted: one link, device or path
 * that leads elsewhere and the whole archive is refused with `bad_build`.
 */
export const unpackTarZst = async (archive: Readable, folder: string, signal: AbortSignal): Promise<void> => {
  let refusal: Refusal | undefined
  const unpack = new Unpack({
    cwd: folder,
    strict: true,
    preserveOwner: false,
    filter: (path, entry) => {
      const why = whyRefused(path, 'type' in entry ? entry.type : 'File')
      if (why) refusal ??= new Refusal('bad_build', `the archive's ${JSON.stringify(path)} ${why}: nothing of it is used`)
      return refusal === undefined
    }
  })
  try {
    await pipeline(archive, createZstdDecompress(), unpack, { signal })
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')) throw cause
    throw refusal ?? new Refusal('bad_build', 'the archive cannot be unpacked: nothing of it is used', { cause })
  }
  if (refusal) throw refusal
}

const plainTypes: readonly string[] = ['File', 'OldFile', 'ContiguousFile', 'Directory', 'GNUDumpDir']

const whyRefused = (path: string, type: string): string | undefined => {
  if (!plainTypes.includes(type)) return `is a ${type}, not a plain file or folder`
  if (path.startsWith('/') || path.startsWith('\\') || /^[A-Za-z]:/.test(path)) return 'is an absolute path'
  if (path.split(/[/\\]/).includes('..')) return 'leads out of its folder'
  return undefined
}
