import { lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BirthRecord, MachineIdentity } from '@berth/shared/birth'
import { canonicalJson } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { type ProcessIdentity, readIdentity } from '@berth/shared/processes'
import { Refusal } from '@berth/shared/refusal'
import { fleetKeyName } from '@berth/shared/release'
import { endUser, removeOwnedFolder } from '@berth/shared/users'

/** Where things lie in one server's folder, which stands for its disk. */
export const serverPaths = (folder: string) => ({
  birth: join(folder, 'birth.json'),
  machine: join(folder, 'machine.json'),
  keys: join(folder, 'keys'),
  run: join(folder, 'run'),
  logs: join(folder, 'logs'),
  identity: (service: string) => join(folder, 'run', `${service}.json`),
  log: (service: string) => join(folder, 'logs', `${service}.log`)
})

/**
 * Makes a server's folder whole; what is there already stays. `birth.json` comes last: a folder that has it was finished.
 * Workers of other users pass through the folder to what is theirs, and may not list it.
 */
export const makeServerFolder = async (
  folder: string,
  { birth, machine, keysFolder }: { readonly birth: BirthRecord; readonly machine: MachineIdentity; readonly keysFolder: string }
): Promise<void> => {
  const paths = serverPaths(folder)
  await mkdir(folder, { recursive: true, mode: 0o711 })
  await mkdir(paths.run, { recursive: true, mode: 0o711 })
  for (const closed of [paths.keys, paths.logs]) await mkdir(closed, { recursive: true, mode: 0o700 })
  await copyKey({ folder, keysFolder, fleet: birth.fleet })
  await writeFileAtomic(paths.machine, canonicalJson(machine))
  await writeFileAtomic(paths.birth, canonicalJson(birth))
}

/** Gives a server its fleet's key as it is now, and no other: a key that was disabled is disabled here too. */
export const copyKey = async ({
  folder,
  keysFolder,
  fleet
}: {
  readonly folder: string
  readonly keysFolder: string
  readonly fleet: string
}): Promise<void> => {
  const name = `${fleetKeyName(fleet)}.key.json`
  const key = await readTextIfThere(join(keysFolder, name))
  if (key === undefined)
    throw new Refusal('no_fleet_key', `the fleet ${fleet} has no key ${name} yet; its servers are born when it has`)
  const copy = join(serverPaths(folder).keys, name)
  if ((await readTextIfThere(copy)) !== key) await writeFileAtomic(copy, key, 0o600)
}

/** Whether the server still has its disk: without what it was told at birth it is nobody. */
export const hasFolder = async (folder: string): Promise<boolean> => {
  const { birth, machine } = serverPaths(folder)
  const told = await Promise.all([birth, machine].map(readTextIfThere))
  return told.every((text) => text !== undefined)
}

/** Removes a server's disk. What its tenants own is ended and removed with their own rights: they could lead root anywhere. */
export const removeServerFolder = async (folder: string, clock: Clock): Promise<void> => {
  const pools = join(serverPaths(folder).run, 'pools')
  for (const deployment of await readdir(pools).catch(emptyWhenMissing))
    for (const release of await readdir(join(pools, deployment)).catch(emptyWhenMissing))
      await removeTemporary(join(pools, deployment, release, workersOwn), clock)
  await rm(folder, { recursive: true, force: true })
}

const removeTemporary = async (temporary: string, clock: Clock): Promise<void> => {
  const info = await lstat(temporary).catch(undefinedWhenMissing)
  if (!info) return
  if (process.getuid?.() === 0 && info.uid !== 0) await endUser(info, clock)
  await removeOwnedFolder(temporary)
}

/** A process that a server's folder tells of, and the file that tells of it. */
export type RecordedProcess = ProcessIdentity & { readonly file: string }

/**
 * Every process recorded below the server's `run/`: services in `run/<service>.json`, keepers and workers in files that end in
 * `.process.json`. What applications may write is not looked at: they could make us end any process they like.
 */
export const readProcesses = async (folder: string): Promise<RecordedProcess[]> => {
  const { run } = serverPaths(folder)
  const files = await identityFiles(run, 0)
  const found = await Promise.all(
    files.map(async (file) => {
      const identity = await readIdentity(file).catch(undefinedWhenNone)
      return identity ? [{ ...identity, file }] : []
    })
  )
  return found.flat()
}

const depthMax = 4
/** Where a worker keeps its own temporary files. */
const workersOwn = 'tmp'

const identityFiles = async (folder: string, depth: number): Promise<string[]> => {
  const entries = await readdir(folder, { withFileTypes: true }).catch(emptyWhenMissing)
  const found = await Promise.all(
    entries.map(async (entry): Promise<string[]> => {
      const path = join(folder, entry.name)
      if (entry.isFile()) return entry.name.endsWith(depth === 0 ? '.json' : '.process.json') ? [path] : []
      if (!entry.isDirectory() || entry.name === workersOwn || depth === depthMax) return []
      return identityFiles(path, depth + 1)
    })
  )
  return found.flat()
}

/** A file that was removed meanwhile, or that holds something else, tells of no process. */
const undefinedWhenNone = (error: unknown): undefined => {
  if (error instanceof Refusal) return undefined
  throw error
}

const undefinedWhenMissing = (error: unknown): undefined => {
  emptyWhenMissing(error)
}

const emptyWhenMissing = (error: unknown): [] => {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
  throw error
}
