import type { Clock } from '@berth/shared/clock'
import { type Failures, packageOf } from './failures.ts'
import type { Fallbacks } from './fallbacks.ts'
import type { Host } from './host/host.ts'
import type { Builds } from './install/builds.ts'
import type { Releases } from './install/releases.ts'
import type { Packages } from './packages/packages.ts'
import type { DeploymentDesired, DeploymentObserved } from './plan/state.ts'
import type { PoolMemory } from './pool-memory.ts'
import type { Router } from './router.ts'

/** What the host showed in one look. */
export type Seen = Awaited<ReturnType<Host['observe']>>

export type Observer = ReturnType<typeof observer>

/** Looks at this server. Many may ask at once: who asks while a look is under way shares the one after it. */
export const observer = (o: {
  readonly host: Pick<Host, 'observe'>
  readonly address: string
  readonly router: Router
  readonly releases: Pick<Releases, 'observe' | 'deployments'>
  readonly builds: Pick<Builds, 'find'>
  readonly packages: Pick<Packages, 'isHere'>
  readonly memory: PoolMemory
  readonly failures: Failures
  readonly fallbacks: Fallbacks
  readonly clock: Clock
}) => {
  let running: Promise<unknown> = Promise.resolve()
  let queued: Promise<Seen> | undefined

  let last: Seen | undefined

  const observe = async (): Promise<Seen> => {
    const seen = await o.host.observe()
    o.router.adopt(seen.table, { isUntold: seen.frontUntold ?? false })
    last = seen
    return seen
  }

  return {
    /** A look that began after it was asked for. */
    look: (): Promise<Seen> => {
      queued ??= running
        .catch(() => undefined)
        .then(() => {
          queued = undefined
          const look = observe()
          running = look
          return look
        })
      return queued
    },

    /** As the last look found it. */
    isFrontUp: (): boolean => last?.frontUp ?? false,
    restartsOf: (deployment: string, release: string): number =>
      last?.pools.find((pool) => pool.deployment === deployment && pool.release === release)?.restarts ?? 0,

    /** Every deployment of which anything is on this server. */
    deployments: async (seen: Seen): Promise<string[]> => [
      ...new Set([
        ...seen.pools.map(({ deployment }) => deployment),
        ...o.router.deployments(),
        ...(await o.releases.deployments()),
        ...o.fallbacks.deployments()
      ])
    ],

    /** One deployment, as the plan sees it. */
    view: async (deployment: string, desired: DeploymentDesired | undefined, seen: Seen): Promise<DeploymentObserved> => {
      const found = o.router.find(deployment)
      const route = found && { ...found, failed: found.failed === true }
      const folders = await o.releases.observe(deployment)
      const refs = [desired?.current, desired?.preparing, desired?.warm].filter((ref) => ref != null)
      const lacking = new Set<string>()
      for (const ref of refs) if (!(await o.builds.find(ref.build))) lacking.add(ref.release)
      const now = o.clock.now().getTime()
      const installed = folders.whole.filter((release) => !lacking.has(release))
      const isInForce = (what: string) => desired !== undefined && o.failures.isInForce(desired, what, now)
      const failed = refs.map(({ release }) => release).filter(isInForce)
      return {
        route,
        pools: seen.pools
          .filter((pool) => pool.deployment === deployment)
          .map((pool) => o.memory.observe(o.address, pool, route)),
        installed,
        // One that could not be fetched waits for its time, and keeps nobody from anything meanwhile.
        unfetched: refs
          .filter((ref) => !o.packages.isHere(ref) && installed.includes(ref.release) && !isInForce(packageOf(ref.release)))
          .map(({ release }) => release),
        folders: folders.any,
        adjacent: folders.adjacent,
        failed,
        lost: failed.filter((release) => desired && o.failures.isForGood(desired, release)),
        fallback: o.fallbacks.find(deployment)
      }
    }
  }
}
