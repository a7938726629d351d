import { mkdir, open, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { isSystemError } from './folder-errors.ts'
import { temporaryFolder } from './folder-version.ts'
import { ObjectsError } from './objects.ts'

const markerName = '.berth-objects'
const strayAgeMs = 60 * 60 * 1000
const looksMax = 20

/** Makes an empty store of a folder, or does nothing when it is one. */
export const createFolderStore = async (root: string): Promise<void> => {
  await mkdir(temporaryFolder(root), { recursive: true, mode: 0o700 })
  await writeFile(join(root, markerName), 'The object store of Berth lies in this folder.\n', { mode: 0o600 })
  await syncFolder(root)
}

/**
 * Runs `look` while the root certainly stayed where it is. A root that is moved away makes everything look missing, and it may be
 * back a moment later; moving a folder changes its ctime, so two equal looks at the root vouch for what was seen between them.
 */
export const whileRootStays = async <T>(root: string, look: () => Promise<T>): Promise<T> => {
  let before = await stampOf(root)
  for (let looks = 0; looks < looksMax; looks++) {
    const seen = await look()
    const after = await stampOf(root)
    if (before === after) return seen
    before = after
  }
  throw new ObjectsError('unavailable', `the folder of the object store, ${root}, is being changed all the time`)
}

/** Refuses to go on when the store's folder is not there, or is not a store. */
export const checkRoot = async (root: string): Promise<void> => {
  await stampOf(root)
}

/** Makes the folders between the root and `path`, but never the root: a store whose disk is away is not made anew, empty. */
export const makeFolders = async (root: string, path: string): Promise<void> => {
  await checkRoot(root)
  let folder = root
  for (const name of relative(root, path).split(sep)) {
    const parent = folder
    folder = join(parent, name)
    try {
      await mkdir(folder, { mode: 0o700 })
      await syncFolder(parent)
    } catch (error) {
      // An empty folder was swept away under us, or the root went: the caller looks again, and then it shows.
      if (isSystemError(error, 'ENOENT')) return
      if (!isSystemError(error, 'EEXIST')) throw error
    }
  }
}

/** Makes what was linked, renamed or removed in a folder survive a power cut. A folder that is gone has nothing to keep. */
export const syncFolder = async (path: string): Promise<void> => {
  try {
    const folder = await open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error
  }
}

/** Removes what killed processes left under temporary names more than an hour ago; nobody is still writing that. */
export const sweepTemporary = async (root: string, now: Date): Promise<void> => {
  for (const name of await namesIn(temporaryFolder(root))) {
    const path = join(temporaryFolder(root), name)
    const found = await stat(path).catch(() => undefined)
    if (found && now.getTime() - found.mtimeMs > strayAgeMs) await rm(path, { recursive: true, force: true })
  }
}

/** The names in a folder; none when it does not exist. */
export const namesIn = async (path: string): Promise<string[]> => {
  try {
    return await readdir(path)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return []
    throw error
  }
}

const stampOf = async (root: string): Promise<string> => {
  try {
    const [folder, marker] = await Promise.all([stat(root, { bigint: true }), stat(join(root, markerName), { bigint: true })])
    return `${folder.dev} ${folder.ino} ${folder.ctimeNs} ${marker.ino}`
  } catch (cause) {
    if (isSystemError(cause, 'ENOENT', 'ENOTDIR'))
      throw new ObjectsError('unavailable', `there is no object store in the folder ${root}`, cause)
    throw cause
  }
}
