import { randomUUID } from 'node:crypto'
import { chmod, link, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { isAlive, type ProcessIdentity, readIdentity } from '@berth/shared/processes'
import type { PoolReason } from '../host/host.ts'

/** What a keeper is told: everything that it needs to start workers, nothing of who wants them. Only our own user can read it. */
export type KeeperSpec = {
  readonly deployment: string
  readonly release: string
  readonly command: readonly string[]
  readonly cwd: string
  /** The whole environment of a worker but HOST, PORT, HOME and TMPDIR. */
  readonly env: Readonly<Record<string, string>>
  readonly address: string
  readonly processes: number
  readonly startupMs: number
  readonly shutdownTimeLimitMs: number
  readonly identity: { readonly uid: number; readonly gid: number } | undefined
  /** Folder in which a link named by a port says whose it is. */
  readonly portsFolder: string
  /** Touched at each change, so that an agent that watches it looks at once. */
  readonly eventFile: string
  readonly logFile: string
}

export type KeptWorker = {
  readonly port: number
  readonly process: ProcessIdentity | undefined
  readonly ready: boolean
}

/** What a keeper knows, on disk after each change: its successor carries on from it, and the agent reads it. */
export type KeeperState = {
  readonly state: 'starting' | 'running' | 'frozen' | 'crashed'
  /** By slot. */
  readonly workers: readonly KeptWorker[]
  readonly restarts: number
  /** When workers died, in milliseconds, as far back as the crash window reaches. */
  readonly deaths: readonly number[]
  readonly reason: PoolReason | undefined
  readonly socket: string
}

/** The files of one pool's folder. */
export const poolFiles = (folder: string) =>
  ({
    spec: join(folder, 'spec.json'),
    state: join(folder, 'state.json'),
    /** HOME and TMPDIR of the workers: theirs alone. */
    temporary: join(folder, 'tmp'),
    keeperLog: join(folder, 'keeper.log'),
    worker: (slot: number) => join(folder, `worker-${slot}.process.json`)
  }) as const

export const writeSpec = (folder: string, spec: KeeperSpec): Promise<void> =>
  writeFileAtomic(poolFiles(folder).spec, JSON.stringify(spec))

export const writeState = (folder: string, state: KeeperState): Promise<void> =>
  writeFileAtomic(poolFiles(folder).state, JSON.stringify(state))

// Both files are written by our own code for our own code, whole or not at all: a schema's compiler would be most of a
// keeper's memory, and there are two keepers a deployment.
export const readSpec = async (folder: string): Promise<KeeperSpec | undefined> => {
  const text = await readTextIfThere(poolFiles(folder).spec)
  return text === undefined ? undefined : (JSON.parse(text) as KeeperSpec) // see above
}
export const readState = async (folder: string): Promise<KeeperState | undefined> => {
  const text = await readTextIfThere(poolFiles(folder).state)
  return text === undefined ? undefined : (JSON.parse(text) as KeeperState) // see above
}

const keeperFile = /^keeper-([0-9]+)\.process\.json$/

/** The keeper that holds this folder, if it lives. */
export const findKeeper = async (folder: string): Promise<ProcessIdentity | undefined> => {
  const last = Math.max(0, ...(await keeperNumbers(folder)))
  const identity = last === 0 ? undefined : await readIdentity(join(folder, nameOf(last)))
  return identity && (await isAlive(identity)) ? identity : undefined
}

/**
 * Makes `self` this folder's keeper, unless one lives: then, or when another one was faster, it answers false. Names are
 * numbered and made exclusively, so that of two that start at once exactly one gets the folder.
 */
export const takeFolder = async (folder: string, self: ProcessIdentity): Promise<boolean> => {
  const numbers = await keeperNumbers(folder)
  const last = Math.max(0, ...numbers)
  if (await findKeeper(folder)) return false
  const temporary = join(folder, `.keeper-${randomUUID()}.tmp`)
  await writeFile(temporary, JSON.stringify(self), { mode: 0o600 })
  try {
    await link(temporary, join(folder, nameOf(last + 1)))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
  await Promise.all(numbers.map((number) => rm(join(folder, nameOf(number)), { force: true })))
  return true
}

const nameOf = (number: number): string => `keeper-${number}.process.json`

const keeperNumbers = async (folder: string): Promise<number[]> => {
  const names = await readdir(folder).catch(() => [])
  return names.flatMap((name) => keeperFile.exec(name)?.[1] ?? []).map(Number)
}

/** Makes a folder that a pool's own user may pass through to what it owns below, but not read. */
export const makePassage = async (folder: string): Promise<void> => {
  await mkdir(folder, { recursive: true })
  // A narrow umask would close it.
  await chmod(folder, 0o711)
}
