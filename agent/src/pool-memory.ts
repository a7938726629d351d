import type { PoolStatus } from './host/host.ts'
import type { PoolObserved, RouteObserved, Trust, Upstream } from './plan/state.ts'

type Known = {
  readonly trust: Trust
  readonly startedAt?: number
  readonly shutdownTimeLimitMs?: number
  /** It was told to end: whatever it still answers, it is believed in nothing. */
  readonly isEnding?: boolean
}

export type PoolMemory = ReturnType<typeof poolMemory>

/** What only this agent knows of a pool: how far it may be believed, and since when it runs. A new agent asks the pools again. */
export const poolMemory = () => {
  const known = new Map<string, Known>()
  const keyOf = (deployment: string, release: string) => `${deployment}/${release}`

  return {
    find: (deployment: string, release: string): Known | undefined => known.get(keyOf(deployment, release)),
    note: (deployment: string, release: string, change: Partial<Known>): void => {
      const key = keyOf(deployment, release)
      known.set(key, { trust: 'none', ...known.get(key), ...change })
    },
    forget: (deployment: string, release: string): void => {
      known.delete(keyOf(deployment, release))
    },
    /** A pool as the plan sees it. One that requests go to has answered before, whoever asked. */
    observe: (address: string, status: PoolStatus, route: RouteObserved | undefined): PoolObserved => {
      const upstreams = status.workers.map(({ port }) => ({ host: address, port }))
      const isRouted = route?.release === status.release && !route.failed && isPartOf(route.upstreams, upstreams)
      const { trust = 'none', isEnding } = known.get(keyOf(status.deployment, status.release)) ?? {}
      const { release, state } = status
      return { release, state, trust: isEnding ? 'distrusted' : trustOf(state, trust, isRouted), upstreams }
    }
  }
}

const trustOf = (state: PoolStatus['state'], trust: Trust, isRouted: boolean): Trust => {
  if (state === 'running') return isRouted && trust === 'none' ? 'probed' : trust
  return state === 'frozen' && trust === 'distrusted' ? 'distrusted' : 'none'
}

/** All that the table names are workers of this pool, and it names at least one. */
const isPartOf = (routed: readonly Upstream[], upstreams: readonly Upstream[]): boolean =>
  routed.length > 0 &&
  routed.every(({ host, port }) => upstreams.some((upstream) => upstream.host === host && upstream.port === port))
