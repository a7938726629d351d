import { rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { Refusal } from '../refusal.ts'
import { guarded, isSystemError } from './folder-errors.ts'
import { parseName } from './folder-names.ts'
import { checkRoot, namesIn, syncFolder } from './folder-root.ts'
import { emptyVersion, nameOf, numbersIn, readCurrent } from './folder-swap.ts'

const ageMsMin = 60_000

/**
 * Removes what is left of objects that were deleted more than `olderThanMs` ago (at least a minute, so that the first number of
 * an object made again is far above its old ones), folders with nothing in them, and bytes that a killed writer did not free.
 * Safe beside any writer: a folder is only removed by rmdir(2), which refuses one in which a version was published meanwhile.
 */
export const sweepFolderStore = async (
  root: string,
  { olderThanMs, clock }: { readonly olderThanMs: number; readonly clock: Clock }
): Promise<void> => {
  if (!(olderThanMs >= ageMsMin)) throw new Refusal('invalid', `olderThanMs is ${olderThanMs}; it must be ${ageMsMin} or more`)
  const deletedBefore = new Date(clock.now().getTime() - olderThanMs)
  await guarded('the object store cannot be swept', async () => {
    await checkRoot(root)
    await sweepBelow(root, root, deletedBefore)
  })
}

const sweepBelow = async (root: string, folder: string, deletedBefore: Date): Promise<void> => {
  for (const name of await namesIn(folder)) {
    const entry = parseName(name)
    if (!entry) continue
    const path = join(folder, name)
    if (entry.kind === 'object') await sweepObject(root, path, deletedBefore)
    else {
      await sweepBelow(root, path, deletedBefore)
      await removeIfEmpty(path)
    }
  }
}

const sweepObject = async (root: string, path: string, deletedBefore: Date): Promise<void> => {
  const current = await readCurrent(root, path)
  if (current && !(current.version.deleted && current.version.createdAt < deletedBefore)) {
    await freeSuperseded(root, path, current.number)
    return
  }
  // Lowest first, the tombstone last: until it goes, every number that a writer could be about to take stays taken.
  for (const number of await numbersIn(path))
    if (current && number <= current.number) await rm(join(path, nameOf(number)), { force: true })
  await syncFolder(path)
  await removeIfEmpty(path)
}

const freeSuperseded = async (root: string, path: string, current: number): Promise<void> => {
  for (const number of await numbersIn(path)) {
    if (number >= current) continue
    const found = await stat(join(path, nameOf(number))).catch(() => undefined)
    if (found && found.size > 0) await emptyVersion(root, path, number).catch(() => undefined)
  }
}

const removeIfEmpty = async (path: string): Promise<void> => {
  try {
    await rmdir(path)
  } catch (error) {
    if (!isSystemError(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR')) throw error
  }
}
