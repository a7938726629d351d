import { watch } from 'node:fs'
import type { Clock } from '@berth/shared/clock'
import { callControl } from '@berth/shared/control-socket'
import { Refusal } from '@berth/shared/refusal'
import { userOf } from '../keeper/worker.ts'
import { frontDoor } from './front-door.ts'
import type { Host, PoolStatus } from './host.ts'
import { type FoundPool, isLive, poolFolders } from './pools.ts'
import { type ProbedPool, probePool } from './probe.ts'

/** The host on a system without IIS: pools are kept processes, the front is ours. `node` is the program that runs keepers. */
export const processHost = async (o: {
  readonly serverFolder: string
  readonly node: string
  readonly clock: Clock
}): Promise<Host> => {
  const { clock } = o
  const folders = await poolFolders(o)
  const front = frontDoor(o.serverFolder)

  /** Pools of which anything lives. A killed keeper gets a successor; it takes the workers over. */
  const livePools = async (): Promise<FoundPool[]> => {
    const pools = (await folders.list()).filter(isLive)
    const orphaned = pools.filter(({ keeper }) => !keeper)
    // A pool whose keeper cannot start runs on without one, and is that pool's trouble alone; the next look tries again.
    await Promise.all(orphaned.map(({ folder }) => folders.revive(folder).catch((error: Error) => tell(folder, error))))
    return pools
  }

  const command = async (deployment: string, release: string, path: '/freeze' | '/thaw'): Promise<void> => {
    const pool = await folders.find(deployment, release)
    if (!pool || !isLive(pool)) throw noPool(deployment, release)
    if (!pool.keeper) await folders.revive(pool.folder)
    const state = (await folders.find(deployment, release))?.state
    if (!state) throw noPool(deployment, release)
    await callControl(state.socket, 'POST', path)
  }

  return {
    observe: async () => {
      const pools = await livePools()
      return { pools: pools.map(statusOf), ...(await front.observe()) }
    },

    startPool: folders.start,

    freezePool: async (deployment, release) => {
      // A frozen worker answers nobody: whoever still waits for it is told so now.
      await front.cut(deployment, release)
      await command(deployment, release, '/freeze')
    },
    thawPool: (deployment, release) => command(deployment, release, '/thaw'),

    stopPool: folders.remove,

    probe: async (deployment, release, asked, signal) => {
      const pool = await folders.find(deployment, release)
      const look = async () => probedPool(await folders.find(deployment, release), deployment, release)
      return probePool({ address: pool?.spec.address ?? '', uid: pool && userOf(pool.spec), look, asked, clock, signal })
    },

    route: async (table) => {
      await front.route(table)
      const routed = new Set(table.routes.map(({ deployment, release }) => `${deployment}.${release}`))
      // Only now: while a table pointed at a dead pool, its ports could be nobody else's.
      for (const { folder, spec } of await folders.list())
        if (!routed.has(`${spec.deployment}.${spec.release}`)) await folders.removeDead(folder)
    },

    inFlight: front.inFlight,

    onChange: (listener) => {
      const watcher = watch(folders.eventsFolder, () => listener())
      // Hints may be lost; the agent looks by itself all the time.
      watcher.on('error', () => watcher.close())
      return () => watcher.close()
    },

    controlSockets: async () => {
      const sockets = (await folders.list()).flatMap(({ state }) => state?.socket || [])
      return [await front.socket(), ...sockets]
    }
  }
}

const tell = (folder: string, error: Error): void => void process.stderr.write(`host: ${folder}: ${error.message}\n`)

const noPool = (deployment: string, release: string): Refusal =>
  new Refusal('no_pool', `no pool of release ${release} of deployment ${deployment} runs here; nothing was changed`)

const statusOf = ({ spec, state }: FoundPool): PoolStatus => ({
  deployment: spec.deployment,
  release: spec.release,
  state: state?.state ?? 'starting',
  workers: (state?.workers ?? []).map(({ process, port, ready }) => ({ pid: process?.pid ?? 0, port, ready })),
  restarts: state?.restarts ?? 0,
  ...(state?.reason ? { reason: state.reason } : {})
})

const probedPool = (pool: FoundPool | undefined, deployment: string, release: string): ProbedPool => {
  // Ended from outside, all at once: that says nothing of the release, so that it is no answer of a probe.
  if (!pool || !isLive(pool)) throw noPool(deployment, release)
  if (pool.state?.state === 'crashed')
    return { kind: 'given-up', reason: pool.state.reason ?? { code: 'crashed', message: 'the pool was given up' } }
  return { kind: 'workers', workers: pool.state?.workers ?? [] }
}
