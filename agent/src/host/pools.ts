import { chown, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseBuildDescription } from '@berth/shared/build'
import type { Clock } from '@berth/shared/clock'
import { callControl } from '@berth/shared/control-socket'
import { isAlive, type ProcessIdentity, readIdentity, signalProcess, startDetached, stopProcess } from '@berth/shared/processes'
import { Refusal } from '@berth/shared/refusal'
import { endUser, removeOwnedFolder } from '@berth/shared/users'
import { portOwner } from '../keeper/memory.ts'
import {
  findKeeper,
  type KeeperSpec,
  type KeeperState,
  makePassage,
  poolFiles,
  readSpec,
  readState,
  writeSpec,
  writeState
} from '../keeper/pool-folder.ts'
import { releasePorts } from '../keeper/ports.ts'
import type { PoolIdentity, PoolSpec } from './host.ts'
import { checkPassage } from './passage.ts'

/** One pool's folder, and who lives in it. */
export type FoundPool = {
  readonly folder: string
  readonly spec: KeeperSpec
  readonly state: KeeperState | undefined
  readonly keeper: ProcessIdentity | undefined
  /** Workers that run, whether or not a keeper looks after them. */
  readonly workers: readonly ProcessIdentity[]
}

const keeperEntry = fileURLToPath(new URL('../keeper/main.ts', import.meta.url))
const keeperUpMsMax = 20_000
const keeperGoneMsMax = 20_000
const pollMs = 10
const logsKept = 5
// A keeper does little: a small heap keeps two of them a deployment cheap.
const keeperFlags = ['--max-semi-space-size=1', '--max-old-space-size=64', '--disable-warning=ExperimentalWarning']

/** The pools' folders below `<server>/run`, and the processes that live in them. */
export const poolFolders = async (o: { readonly serverFolder: string; readonly node: string; readonly clock: Clock }) => {
  const { serverFolder, node, clock } = o
  const run = join(serverFolder, 'run')
  const folders = {
    pools: join(run, 'pools'),
    ports: join(run, 'ports'),
    events: join(run, 'events'),
    compileCache: join(run, 'compile-cache'),
    logs: join(serverFolder, 'logs')
  }
  for (const passage of [run, folders.pools]) await makePassage(passage)
  for (const closed of [folders.ports, folders.events, folders.compileCache, folders.logs])
    await mkdir(closed, { recursive: true, mode: 0o700 })

  const folderOf = (deployment: string, release: string) => join(folders.pools, deployment, release.slice(0, 12))

  const findIn = async (folder: string): Promise<FoundPool | undefined> => {
    const spec = await readSpec(folder)
    if (!spec) return undefined
    const state = await readState(folder)
    return { folder, spec, state, keeper: await findKeeper(folder), workers: await liveWorkers(folder, spec.processes) }
  }
  const find = (deployment: string, release: string) => findIn(folderOf(deployment, release))

  const list = async (): Promise<FoundPool[]> => {
    const found: FoundPool[] = []
    for (const deployment of await readdir(folders.pools))
      for (const release of await readdir(join(folders.pools, deployment))) {
        const folder = join(folders.pools, deployment, release)
        // One folder that cannot be read is that pool's trouble alone.
        const pool = await findIn(folder).catch(
          (error: Error) => void process.stderr.write(`host: ${folder}: ${error.message}\n`)
        )
        if (pool) found.push(pool)
      }
    return found
  }

  /** Starts a keeper on a folder that is ready for it, and waits until it took the folder. */
  const startKeeper = async (folder: string): Promise<void> => {
    await startDetached({
      command: node,
      args: [...keeperFlags, keeperEntry, folder],
      cwd: folder,
      env: { NODE_COMPILE_CACHE: folders.compileCache },
      logFile: poolFiles(folder).keeperLog
    })
    const deadline = clock.now().getTime() + keeperUpMsMax
    while (!(await isAnswering(folder))) {
      if (clock.now().getTime() >= deadline)
        throw new Refusal('no_keeper', `no keeper took ${folder} within ${keeperUpMsMax} ms; see ${poolFiles(folder).keeperLog}`)
      await clock.wait(pollMs)
    }
  }

  // One act at a time in a folder: what follows reads it first, and would act on what another one is about to change.
  const turns = new Map<string, Promise<unknown>>()
  const inTurn = <T>(folder: string, act: () => Promise<T>): Promise<T> => {
    const before = turns.get(folder) ?? Promise.resolve()
    const result = before.then(act, act)
    const settled = result.then(
      () => undefined,
      () => undefined
    )
    turns.set(folder, settled)
    void settled.then(() => turns.get(folder) === settled && turns.delete(folder))
    return result
  }

  // Nobody may end a user's processes while a pool of that user is on its way to have a keeper.
  const userTurn = ({ uid }: PoolIdentity): string => `user ${uid}`

  const start = async (folder: string, spec: PoolSpec): Promise<void> => {
    const found = await findIn(folder)
    if (found?.keeper) return
    const begin = async () => {
      if (!found || found.workers.length === 0) await prepareFolder(folder, spec, found?.state)
      await startKeeper(folder)
    }
    await (spec.identity ? inTurn(userTurn(spec.identity), begin) : begin())
  }

  const prepareFolder = async (folder: string, spec: PoolSpec, former: KeeperState | undefined): Promise<void> => {
    const files = poolFiles(folder)
    const command = await commandOf(spec)
    await makePassage(dirname(folder))
    await makePassage(folder)
    await removeOwnedFolder(files.temporary)
    await mkdir(files.temporary, { mode: 0o700 })
    if (spec.identity) {
      await chown(files.temporary, spec.identity.uid, spec.identity.gid)
      for (const path of [command[0] ?? '', join(spec.releaseFolder, 'file'), files.temporary])
        await checkPassage(path, spec.identity)
    }
    // A pool that died as a whole starts afresh, but for its ports: a route may still point at them.
    if (former) await writeState(folder, afresh(former))
    await writeSpec(folder, {
      deployment: spec.deployment,
      release: spec.release,
      command,
      cwd: spec.releaseFolder,
      env: { ...spec.settings, PATH: '/usr/local/bin:/usr/bin:/bin', BERTH_ADJACENT: spec.adjacentLink },
      address: spec.address,
      processes: spec.pool.processes,
      startupMs: spec.startupMs,
      shutdownTimeLimitMs: spec.pool.shutdownTimeLimitMs,
      identity: spec.identity,
      portsFolder: folders.ports,
      eventFile: join(folders.events, portOwner(spec)),
      logFile: join(folders.logs, spec.deployment, `${spec.release.slice(0, 12)}.log`)
    })
  }

  /** Gives a pool whose keeper was killed another one, which takes its workers over. */
  const revive = async (folder: string): Promise<void> => {
    const found = await findIn(folder)
    if (found && !found.keeper && found.workers.length > 0) await startKeeper(folder)
  }

  /** Ends everything of a pool and forgets it; its ports are free for others from then on. */
  const remove = async (folder: string): Promise<void> => {
    const found = await findIn(folder)
    if (!found) return
    const { spec, keeper } = found
    if (keeper) {
      await signalProcess(keeper, 'SIGTERM')
      const deadline = clock.now().getTime() + spec.shutdownTimeLimitMs + keeperGoneMsMax
      while ((await isAlive(keeper)) && clock.now().getTime() < deadline) await clock.wait(pollMs)
      await stopProcess(keeper, { graceMs: 0, clock })
    }
    const left = await liveWorkers(folder, spec.processes)
    await Promise.all(left.map((worker) => stopProcess(worker, { graceMs: spec.shutdownTimeLimitMs, group: true, clock })))
    await endStrays(folder, spec)
    const socket = (await readState(folder))?.socket
    await removeOwnedFolder(poolFiles(folder).temporary)
    await rm(folder, { recursive: true, force: true })
    // Where a socket's path would be too long, it lies alone in a short folder elsewhere.
    if (socket && dirname(socket) !== folder) await rm(dirname(socket), { recursive: true, force: true })
    await rm(spec.eventFile, { force: true })
    await releasePorts(spec.portsFolder, portOwner(spec))
    await pruneLogs(dirname(spec.logFile))
  }

  /** What left its worker's group outlives it, and would run on unseen; with another pool of that user here it cannot be told apart. */
  const endStrays = async (folder: string, { identity }: KeeperSpec): Promise<void> => {
    if (!identity || process.getuid?.() !== 0) return
    await inTurn(userTurn(identity), async () => {
      const others = (await list()).filter((pool) => pool.folder !== folder && pool.spec.identity?.uid === identity.uid)
      if (!others.some(isLive)) await endUser(identity, clock)
    })
  }

  return {
    eventsFolder: folders.events,
    list,
    find,
    start: (spec: PoolSpec) => {
      const folder = folderOf(spec.deployment, spec.release)
      return inTurn(folder, () => start(folder, spec))
    },
    revive: (folder: string) => inTurn(folder, () => revive(folder)),
    remove: (deployment: string, release: string) => {
      const folder = folderOf(deployment, release)
      return inTurn(folder, () => remove(folder))
    },
    /** Forgets a pool of which nothing lives any more; one that somebody starts at this very moment is left alone. */
    removeDead: (folder: string) =>
      inTurn(folder, async () => {
        const found = await findIn(folder)
        if (found && !isLive(found)) await remove(folder)
      })
  }
}

/** Something of it lives: its keeper, or a worker that a killed keeper left. */
export const isLive = ({ keeper, workers }: FoundPool): boolean => keeper !== undefined || workers.length > 0

const isAnswering = async (folder: string): Promise<boolean> => {
  const socket = (await findKeeper(folder)) && (await readState(folder))?.socket
  if (!socket) return false
  return callControl(socket, 'GET', '/state').then(
    () => true,
    () => false
  )
}

const afresh = ({ workers, socket }: KeeperState): KeeperState => ({
  state: 'starting',
  workers: workers.map(({ port }) => ({ port, process: undefined, ready: false })),
  restarts: 0,
  deaths: [],
  reason: undefined,
  socket
})

const liveWorkers = async (folder: string, processes: number): Promise<ProcessIdentity[]> => {
  const live: ProcessIdentity[] = []
  for (let slot = 0; slot < processes; slot++) {
    const identity = await readIdentity(poolFiles(folder).worker(slot))
    if (identity && (await isAlive(identity))) live.push(identity)
  }
  return live
}

/** The build's command with its folders filled in. */
const commandOf = async ({ buildFolder, releaseFolder, requires }: PoolSpec): Promise<string[]> => {
  const { command } = parseBuildDescription(await readFile(join(buildFolder, 'build.json')))
  return command.map((word) =>
    word.replace(/\{(build|release|requires:([a-z0-9-]+))\}/g, (_, name: string, required: string | undefined) => {
      if (name === 'build') return buildFolder
      if (name === 'release') return releaseFolder
      const folder = requires[required ?? '']
      if (folder === undefined)
        throw new Refusal('bad_build', `the build in ${buildFolder} names ${required}, which it does not require`)
      return folder
    })
  )
}

/** The logs of ended releases are kept for a while, not for ever. */
const pruneLogs = async (folder: string): Promise<void> => {
  const names = await readdir(folder).catch(() => [])
  const logs = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0 }))
  )
  const old = logs.sort((a, b) => b.at - a.at).slice(logsKept * 2)
  await Promise.all(old.map(({ name }) => rm(join(folder, name), { force: true })))
}
