import type { DeploymentDesired, DeploymentObserved, PoolObserved, RouteObserved, Step } from './state.ts'

/** What is observed after a step that succeeded. The plan thinks ahead with it; the model host of the tests is made of it. */
export const after = (observed: DeploymentObserved, step: Step, desired: DeploymentDesired | undefined): DeploymentObserved => {
  switch (step.kind) {
    case 'install':
      return {
        ...observed,
        installed: add(observed.installed, step.release),
        unfetched: without(observed.unfetched, step.release),
        folders: add(observed.folders, step.release)
      }
    case 'fetch':
      return { ...observed, unfetched: without(observed.unfetched, step.release) }
    case 'link':
      return { ...observed, adjacent: withLink(observed.adjacent, step.release, step.adjacent) }
    case 'start':
      return { ...observed, pools: [...observed.pools, started(step.release)] }
    case 'probe':
    case 'quick-probe':
      return withPool(observed, step.release, { state: 'running', trust: 'probed' })
    case 'thaw':
      return withPool(observed, step.release, { state: 'running', trust: 'thawed' })
    case 'freeze':
      return withPool(observed, step.release, { state: 'frozen', trust: 'none' })
    case 'route':
      return { ...observed, route: routeOf(observed, step.release, desired) }
    case 'refresh':
      return { ...observed, route: observed.route && refreshedRoute(observed.route, observed, desired) }
    case 'close':
      return { ...observed, route: { ...routeOf(observed, step.release, desired), upstreams: [], failed: true } }
    case 'unroute':
      return { ...observed, route: undefined }
    case 'retire':
      return { ...observed, pools: observed.pools.filter(({ release }) => release !== step.release) }
    case 'remove-files':
      return {
        ...observed,
        installed: without(observed.installed, step.release),
        unfetched: without(observed.unfetched, step.release),
        folders: without(observed.folders, step.release),
        adjacent: withLink(observed.adjacent, step.release, null)
      }
    case 'record-fallback':
      return { ...observed, fallback: step.fallback }
    case 'forget-fallback':
      return { ...observed, fallback: undefined }
  }
}

/** Ports are known once the pool is started for real; until then it has one that nobody has. */
const started = (release: string): PoolObserved => ({
  release,
  state: 'starting',
  trust: 'none',
  upstreams: [{ host: '', port: 0 }]
})

const withPool = (
  observed: DeploymentObserved,
  release: string,
  change: Pick<PoolObserved, 'state' | 'trust'>
): DeploymentObserved => ({
  ...observed,
  pools: observed.pools.map((pool) => (pool.release === release ? { ...pool, ...change } : pool))
})

const routeOf = (observed: DeploymentObserved, release: string, desired: DeploymentDesired | undefined): RouteObserved => ({
  release,
  hostNames: desired?.hostNames ?? [],
  path: desired?.path ?? '/',
  upstreams: observed.pools.find((pool) => pool.release === release)?.upstreams ?? [],
  failed: false
})

/** The same route with the ports that its pool has now, and no host name that desired state no longer shows. */
export const refreshedRoute = (
  route: RouteObserved,
  { pools }: Pick<DeploymentObserved, 'pools'>,
  desired: DeploymentDesired | undefined
): RouteObserved => ({
  ...route,
  hostNames: route.hostNames.filter((name) => desired?.hostNames.includes(name)),
  upstreams: pools.find(({ release }) => release === route.release)?.upstreams ?? []
})

const withLink = (adjacent: DeploymentObserved['adjacent'], release: string, to: string | null) => ({
  ...Object.fromEntries(Object.entries(adjacent).filter(([from]) => from !== release)),
  ...(to === null ? {} : { [release]: to })
})

const without = (releases: readonly string[], release: string): readonly string[] => releases.filter((other) => other !== release)

const add = (releases: readonly string[], release: string): readonly string[] =>
  releases.includes(release) ? releases : [...releases, release]
