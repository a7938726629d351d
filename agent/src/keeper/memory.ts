import { writeFileAtomic } from '@berth/shared/files'
import { type KeeperSpec, type KeeperState, type KeptWorker, readState, writeState } from './pool-folder.ts'
import { reservePort } from './ports.ts'

/** What a keeper knows, and its copy on disk. */
export type Memory = {
  readonly state: () => KeeperState
  /** In effect at once; resolves when it is on disk. Changes reach the disk in order. */
  readonly change: (next: Partial<KeeperState>) => Promise<void>
  readonly changeWorker: (slot: number, next: Partial<KeptWorker>) => Promise<void>
}

/** Remembers what the keeper before us knew, or begins with a port for each worker. */
export const openMemory = async (folder: string, spec: KeeperSpec): Promise<Memory> => {
  let state = (await readState(folder)) ?? (await firstState(spec))
  let writing: Promise<void> = Promise.resolve()

  const change = (next: Partial<KeeperState>): Promise<void> => {
    state = { ...state, ...next }
    const written = state
    writing = writing
      .then(() => writeState(folder, written))
      .then(() => writeFileAtomic(spec.eventFile, ''))
      // A full disk must not end a pool that runs; the next change is written again.
      .catch((error: Error) => void process.stderr.write(`keeper: its state was not written: ${error.message}\n`))
    return writing
  }
  return {
    state: () => state,
    change,
    changeWorker: (slot, next) =>
      change({ workers: state.workers.map((worker, index) => (index === slot ? { ...worker, ...next } : worker)) })
  }
}

/** The name under which a pool owns its ports. */
export const portOwner = (pool: { readonly deployment: string; readonly release: string }): string =>
  `${pool.deployment}.${pool.release}`

const firstState = async (spec: KeeperSpec): Promise<KeeperState> => {
  const workers: KeptWorker[] = []
  for (let slot = 0; slot < spec.processes; slot++) {
    const port = await reservePort(spec.portsFolder, portOwner(spec), spec.address)
    workers.push({ port, process: undefined, ready: false })
  }
  return { state: 'starting', workers, restarts: 0, deaths: [], reason: undefined, socket: '' }
}
