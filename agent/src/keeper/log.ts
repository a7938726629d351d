import { openSync } from 'node:fs'
import { copyFile, mkdir, stat, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'

const bytesMax = 5 * 1024 * 1024

/** Opens a log for appending that workers inherit. Only our own user can open it: a worker's user has the descriptor alone. */
export const openLog = async (file: string): Promise<number> => {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  return openSync(file, 'a', 0o600)
}

/**
 * Keeps a log below 5 MB and one predecessor. Workers write into it directly, so that they outlive their keeper; a file that
 * is appended to can be emptied under them, and only what they write during the copy is lost.
 */
export const boundLog = async (file: string): Promise<void> => {
  const info = await stat(file).catch(() => undefined)
  if (!info || info.size <= bytesMax) return
  await copyFile(file, `${file}.1`)
  await truncate(file)
}
