import { type FileHandle, link, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isSystemError } from './folder-errors.ts'
import { makeFolders, namesIn, syncFolder, whileRootStays } from './folder-root.ts'
import { type Draft, etagOf, openVersion, superseded, temporaryPath, type Version } from './folder-version.ts'
import { preconditionFailed } from './key.ts'
import { ObjectsError, type PutCondition } from './objects.ts'

/**
 * Compare-and-swap by names. An object is a folder of version files named by rising numbers; the highest is the object.
 *
 * - Publishing links a finished file to the next number: link(2) refuses a name that is taken, and that refusal is the compare.
 *   The first version is published by renaming a prepared folder, which is refused when there is one with anything in it.
 * - A superseded version is replaced by an empty file: its bytes are freed at once, its name stays taken. Only names more than
 *   `window` numbers old are removed.
 * - So a writer that was held up between reading number n and linking n+1 can succeed wrongly only when n+1 was taken and
 *   removed in between, and then n is out of the window too. After linking it looks: n still listed and within the window
 *   proves that n+1 was never taken before. Otherwise nobody can tell (perhaps its link was good and is itself long
 *   superseded), and the call says so: `unavailable`, outcome unknown.
 * - A first number is the time in microseconds: an object made again, after its folder was swept, goes on above its old numbers.
 */
export type Swap = {
  readonly root: string
  readonly now: () => Date
  /** How many numbers of an object stay taken. */
  readonly window: number
  /** Tests hold a writer up here. */
  readonly pause: (point: PausePoint) => Promise<void>
}

export const pausePoints = ['read', 'linked', 'checked', 'emptied'] as const
export type PausePoint = (typeof pausePoints)[number]

export const windowDefault = 64
const attemptsMax = 1000

export type Current = { readonly number: number; readonly version: Version; readonly file: FileHandle }

/** The highest version with its file open, be it a tombstone; nothing when there was never one. The caller closes the file. */
export const openCurrent = async (root: string, path: string): Promise<Current | undefined> => {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const number = (await newestIn(path)) ?? (await whileRootStays(root, () => newestIn(path)))
    if (number === undefined) return undefined
    const opened = await openVersion(join(path, nameOf(number)))
    if (!opened) continue
    // Emptied means that a newer one was there. If none is, it was swept, and late tidying left this name: a tombstone, too.
    if (opened.version !== superseded || (await newestIn(path)) === number) return { number, ...opened }
    await opened.file.close()
  }
  throw new ObjectsError('unavailable', `${path} was written faster than it could be read`)
}

/** Like `openCurrent`, without the file. */
export const readCurrent = async (root: string, path: string): Promise<Omit<Current, 'file'> | undefined> => {
  const current = await openCurrent(root, path)
  if (!current) return undefined
  await current.file.close()
  return { number: current.number, version: current.version }
}

/** Refuses when the condition does not hold for what was read. */
export const checkCondition = (
  key: string,
  condition: PutCondition | undefined,
  current: Omit<Current, 'file'> | undefined
): void => {
  if (!condition) return
  const etag = current && !current.version.deleted ? etagOf(current.version.sha256, current.number) : undefined
  const holds = 'ifMatch' in condition ? etag === condition.ifMatch : etag === undefined
  if (!holds) throw preconditionFailed(key, condition)
}

/** Makes a draft the object's newest version, if the condition holds at that very moment. Answers its number. */
export const publish = async (
  swap: Swap,
  o: { readonly key: string; readonly path: string; readonly draft: Draft; readonly condition?: PutCondition | undefined }
): Promise<number> => {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const base = await readCurrent(swap.root, o.path)
    checkCondition(o.key, o.condition, base)
    await swap.pause('read')

    const linked = base ? await linkNext(o.path, o.draft, base.number + 1) : await createWith(swap, o.path, o.draft)
    if (linked.kind === 'published') {
      await swap.pause('linked')
      if (base) await settle(swap, { ...o, base: base.number, conditional: o.condition !== undefined })
      return linked.number
    }
    if (linked.kind === 'taken' && o.condition)
      throw new ObjectsError('conflict', `${o.key}: another write was first; nothing was written, read again`)
  }
  throw new ObjectsError('unavailable', `${o.key}: other writers were first ${attemptsMax} times; nothing was written`)
}

/** An object's numbers, ascending. */
export const numbersIn = async (path: string): Promise<number[]> =>
  (await namesIn(path))
    .filter((name) => /^\d{16}$/.test(name))
    .sort()
    .map(Number)

const newestIn = async (path: string): Promise<number | undefined> => (await numbersIn(path)).at(-1)

/** A version's file name: of one length, so that names sort as numbers do. */
export const nameOf = (number: number): string => String(number).padStart(16, '0')

/** Frees a superseded version's bytes, and keeps its name taken. Readers that hold the file open read on. */
export const emptyVersion = async (root: string, path: string, number: number): Promise<void> => {
  const empty = temporaryPath(root)
  try {
    await (await open(empty, 'wx', 0o600)).close()
    await rename(empty, join(path, nameOf(number)))
  } finally {
    await rm(empty, { force: true })
  }
}

type Linked = { readonly kind: 'published'; readonly number: number } | { readonly kind: 'taken' } | { readonly kind: 'gone' }

const linkNext = async (path: string, draft: Draft, number: number): Promise<Linked> => {
  try {
    await link(draft.path, join(path, nameOf(number)))
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return { kind: 'taken' }
    // The folder was swept away since it was read: look again. Should the draft be what is gone, the attempts end.
    if (isSystemError(error, 'ENOENT')) return { kind: 'gone' }
    throw error
  }
  await syncFolder(path)
  return { kind: 'published', number }
}

const createWith = async (swap: Swap, path: string, draft: Draft): Promise<Linked> => {
  const number = swap.now().getTime() * 1000
  const folder = temporaryPath(swap.root)
  try {
    await mkdir(folder, { mode: 0o700 })
    await link(draft.path, join(folder, nameOf(number)))
    await syncFolder(folder)
    await rename(folder, path)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    if (isSystemError(error, 'ENOTEMPTY', 'EEXIST')) return { kind: 'taken' }
    if (!isSystemError(error, 'ENOENT')) throw error
    await makeFolders(swap.root, dirname(path))
    return { kind: 'gone' }
  }
  await syncFolder(dirname(path))
  return { kind: 'published', number }
}

const settle = async (
  swap: Swap,
  o: { readonly key: string; readonly path: string; readonly base: number; readonly conditional: boolean }
): Promise<void> => {
  const numbers = await numbersIn(o.path)
  const newest = numbers.at(-1) ?? o.base
  if (o.conditional && !(numbers.includes(o.base) && newest - o.base < swap.window)) {
    await rm(join(o.path, nameOf(o.base + 1)), { force: true })
    throw new ObjectsError(
      'unavailable',
      `${o.key}: this write was held up while many others went by, so whether it took place is unknown; read again`
    )
  }
  await swap.pause('checked')
  // The write is done; what follows only frees space, and the next writer or the sweep makes up for it.
  await emptyVersion(swap.root, o.path, o.base).catch(() => undefined)
  await swap.pause('emptied')
  for (const number of numbers)
    if (number <= newest - swap.window) await rm(join(o.path, nameOf(number)), { force: true }).catch(() => undefined)
}
