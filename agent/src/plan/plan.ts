import type { ReleaseRef } from '@berth/shared/desired'
import { after, refreshedRoute } from './effects.ts'
import {
  type Action,
  type DeploymentDesired,
  type DeploymentObserved,
  nothingObserved,
  type PoolObserved,
  type ServerDesired,
  type ServerObserved,
  type Step
} from './state.ts'

/** More steps than any deployment can need: a plan that is longer is a bug, and is cut rather than endless. */
const stepsMax = 64

/**
 * What must be done to make `observed` equal `desired`, in an order that is safe to stop after any step: a pool is routed
 * only once it answered its probe, is frozen or ended only once it is not routed, and a deployment never has three pools.
 * Deployments do not wait for one another: the order among different ones means nothing.
 */
export const plan = (desired: ServerDesired, observed: ServerObserved): Action[] =>
  [...new Set([...Object.keys(desired), ...Object.keys(observed)])]
    .sort()
    .flatMap((deployment) =>
      planDeployment(desired[deployment], observed[deployment] ?? nothingObserved).map((step) => ({ ...step, deployment }))
    )

/** The steps of one deployment, each decided on what the ones before it lead to. */
export const planDeployment = (desired: DeploymentDesired | undefined, observed: DeploymentObserved): Step[] => {
  const steps: Step[] = []
  let state = observed
  for (let step = nextStep(desired, state); step !== undefined && steps.length < stepsMax; step = nextStep(desired, state)) {
    steps.push(step)
    state = after(state, step, desired)
  }
  return steps
}

/** The one step that comes next; nothing when the server is as desired, or as near as failures allow. */
export const nextStep = (desired: DeploymentDesired | undefined, observed: DeploymentObserved): Step | undefined => {
  if (!desired || !(desired.current || desired.preparing)) return stepToNothing(observed)
  if (observed.fallback && !isAnsweredBy(observed.fallback, desired)) return { kind: 'forget-fallback' }

  const roles = rolesOf(desired, observed)
  return (
    (roles.target ? stepToServe(desired, observed, roles, roles.target) : stepToServeNothing(observed)) ??
    stepToFetch(desired, observed) ??
    stepForSecond(desired, observed, roles) ??
    stepToTidy(desired, observed, roles)
  )
}

type Roles = {
  /** To be routed: the current release, or after a fallback the warm one. */
  readonly target: ReleaseRef | null
  /** Routed now, by a pool that can answer. */
  readonly serving: string | undefined
  /** Kept beside: what is prepared, else the warm one. */
  readonly second: ReleaseRef | null
}

const rolesOf = (desired: DeploymentDesired, observed: DeploymentObserved): Roles => {
  const target = observed.fallback ? desired.warm : desired.current
  const serving = findServing(observed)
  const kept = preparingOf(desired) ?? (desired.keepWarm === 'off' || observed.fallback ? null : desired.warm)
  const isToBeKept = kept && kept.release !== target?.release && kept.release !== serving && !hasFailed(observed, kept.release)
  return { target, serving, second: isToBeKept ? kept : null }
}

/** What is current already need not be prepared. */
const preparingOf = ({ preparing, current }: DeploymentDesired): ReleaseRef | null =>
  preparing?.release === current?.release ? null : preparing

/** A fallback stands until desired state names another release, operation or attempt, or no release to fall back to. */
const isAnsweredBy = (fallback: NonNullable<DeploymentObserved['fallback']>, desired: DeploymentDesired): boolean =>
  desired.current?.release === fallback.release &&
  desired.operation === fallback.operation &&
  desired.attempt === fallback.attempt &&
  desired.warm !== null &&
  desired.warm.release !== fallback.release

/** Nothing of this deployment is wanted here. */
const stepToNothing = (observed: DeploymentObserved): Step | undefined => {
  const [pool] = observed.pools
  const [folder] = observed.folders
  if (observed.route) return { kind: 'unroute' }
  if (pool) return { kind: 'retire', release: pool.release }
  if (folder !== undefined) return { kind: 'remove-files', release: folder }
  if (observed.fallback) return { kind: 'forget-fallback' }
  return undefined
}

const stepToServeNothing = (observed: DeploymentObserved): Step | undefined => (observed.route ? { kind: 'unroute' } : undefined)

/** Until the target is routed by a pool that answers. Where it cannot be, whatever serves goes on serving. */
const stepToServe = (
  desired: DeploymentDesired,
  observed: DeploymentObserved,
  roles: Roles,
  target: ReleaseRef
): Step | undefined => {
  const isGivenUp = hasFailed(observed, target.release)
  const isCrashed = findPool(observed, target.release)?.state === 'crashed'

  if (roles.serving === target.release && !isGivenUp)
    return (
      stepToLink(desired, observed, roles, target.release) ?? (isRouteAsDesired(desired, observed) ? undefined : route(target))
    )
  if (roles.serving !== undefined && !isRefreshed(desired, observed)) return { kind: 'refresh', release: roles.serving }
  if (roles.serving === target.release) return undefined
  const isLost = observed.lost.includes(target.release)
  if ((isLost || isCrashed) && canFallBack(desired, observed)) return recordFallback(desired)
  if (!isGivenUp) return stepToRoute(desired, observed, roles, target)
  return roles.serving !== undefined || isClosed(desired, observed, target.release)
    ? undefined
    : { kind: 'close', release: target.release }
}

/**
 * A release on trial that fails for good gives way to the warm one, once: never the other way round, and never because
 * something could not be fetched.
 */
const canFallBack = (desired: DeploymentDesired, observed: DeploymentObserved): boolean =>
  desired.bake &&
  observed.fallback === undefined &&
  desired.current !== null &&
  desired.operation !== null &&
  desired.warm !== null &&
  desired.warm.release !== desired.current.release &&
  !hasFailed(observed, desired.warm.release)

const recordFallback = ({ current, operation, attempt }: DeploymentDesired): Step | undefined =>
  current && operation !== null
    ? { kind: 'record-fallback', fallback: { release: current.release, operation, attempt } }
    : undefined

/**
 * A deploy of what is here already names a package of its own for it: it starts nothing anew, but a reboot needs it. It comes
 * before what is kept beside, whose start may take long.
 */
const stepToFetch = ({ current, preparing, warm }: DeploymentDesired, observed: DeploymentObserved): Step | undefined => {
  const ref = [current, preparing, warm].find((named) => named && observed.unfetched.includes(named.release))
  return ref ? { kind: 'fetch', release: ref.release } : undefined
}

/** Gets the target's pool ready beside what serves, and routes it. */
const stepToRoute = (
  desired: DeploymentDesired,
  observed: DeploymentObserved,
  roles: Roles,
  target: ReleaseRef
): Step | undefined => {
  const pool = findPool(observed, target.release)
  if (pool?.state === 'running' && pool.trust === 'probed')
    return stepToLink(desired, observed, roles, target.release) ?? route(target)
  if (pool?.state === 'running' && pool.trust === 'thawed') return { kind: 'quick-probe', release: target.release }
  if (pool?.state === 'frozen' && pool.trust !== 'distrusted') return { kind: 'thaw', release: target.release }
  // The table must not name workers that are gone: their ports may soon be another's.
  if (roles.serving === undefined && observed.route && !observed.route.failed)
    return { kind: 'close', release: observed.route.release }
  return stepToReady(desired, observed, roles, target.release)
}

/** Until this release has a running pool that answered its probe, making room for it first. */
const stepToReady = (
  desired: DeploymentDesired,
  observed: DeploymentObserved,
  roles: Roles,
  release: string
): Step | undefined => {
  const pool = findPool(observed, release)
  if (!pool) {
    if (!observed.installed.includes(release)) return { kind: 'install', release }
    const link = roles.serving === undefined ? undefined : stepToLink(desired, observed, roles, roles.serving)
    return link ?? stepToMakeRoom(desired, observed, roles, release) ?? { kind: 'start', release }
  }
  if (pool.state === 'crashed' || pool.trust === 'distrusted') return retire(pool)
  if (pool.state === 'frozen') return { kind: 'thaw', release }
  return pool.trust === 'probed' ? undefined : { kind: 'probe', release }
}

/** One pool may stay beside the one that is to be started: the one that serves, else one that desired state names. */
const stepToMakeRoom = (
  desired: DeploymentDesired,
  observed: DeploymentObserved,
  roles: Roles,
  release: string
): Step | undefined => {
  const others = observed.pools.filter((other) => other.release !== release && other.release !== roles.serving)
  if (others.length + (roles.serving === undefined ? 0 : 1) < 2) return undefined
  const named = [desired.current?.release, desired.preparing?.release, desired.warm?.release]
  const missedLeast = others.find((other) => !named.includes(other.release)) ?? others[0]
  return missedLeast && retire(missedLeast)
}

/** What is prepared is made ready and left running; what is warm is made ready and then frozen, if it shall be. */
const stepForSecond = (desired: DeploymentDesired, observed: DeploymentObserved, roles: Roles): Step | undefined => {
  const { second } = roles
  if (!second) return undefined
  const isToBeFrozen = !preparingOf(desired) && desired.keepWarm === 'frozen'
  const pool = findPool(observed, second.release)
  if (isToBeFrozen && pool?.state === 'frozen') return undefined
  return (
    stepToReady(desired, observed, roles, second.release) ??
    (isToBeFrozen ? { kind: 'freeze', release: second.release } : undefined)
  )
}

/** Ends what is neither served nor kept, mends files, and removes those that desired state no longer names. */
const stepToTidy = (desired: DeploymentDesired, observed: DeploymentObserved, roles: Roles): Step | undefined => {
  const kept = [roles.serving, roles.second?.release]
  const extra = observed.pools.find(({ release }) => !kept.includes(release))
  if (extra) return retire(extra)
  const named = [desired.current?.release, desired.preparing?.release, desired.warm?.release, roles.serving]
  const broken = kept.find((release) => release !== undefined && isToBeMended(desired, observed, release))
  if (broken !== undefined) return { kind: 'install', release: broken }
  const served = roles.serving ?? roles.target?.release
  const link = served === undefined ? undefined : stepToLink(desired, observed, roles, served)
  if (link) return link
  const stale = observed.folders.find((release) => !named.includes(release))
  return stale === undefined ? undefined : { kind: 'remove-files', release: stale }
}

const isToBeMended = (desired: DeploymentDesired, observed: DeploymentObserved, release: string): boolean =>
  [desired.current?.release, desired.preparing?.release, desired.warm?.release].includes(release) &&
  !observed.installed.includes(release) &&
  !hasFailed(observed, release)

/**
 * The release whose files answer what `release` lacks: while one is prepared the servers of a fleet switch one after the
 * other, and a page of the new release may ask an old server for its parts; afterwards it is the other way round.
 */
const adjacentOf = (desired: DeploymentDesired, observed: DeploymentObserved, roles: Roles, release: string): string | null =>
  [
    desired.preparing?.release,
    release === roles.target?.release ? undefined : roles.target?.release,
    desired.warm?.release,
    roles.serving
  ].find((other) => other !== undefined && other !== release && observed.installed.includes(other)) ?? null

const stepToLink = (
  desired: DeploymentDesired,
  observed: DeploymentObserved,
  roles: Roles,
  release: string
): Step | undefined => {
  if (!observed.installed.includes(release)) return undefined
  const adjacent = adjacentOf(desired, observed, roles, release)
  return adjacent === (observed.adjacent[release] ?? null) ? undefined : { kind: 'link', release, adjacent }
}

/** The routed release whose pool runs, answered its probe, and listens where the table says. */
export const findServing = (observed: DeploymentObserved): string | undefined => {
  const { route: routed } = observed
  if (!routed || routed.failed || routed.upstreams.length === 0) return undefined
  const pool = findPool(observed, routed.release)
  return pool?.state === 'running' && pool.trust === 'probed' ? pool.release : undefined
}

const isRouteAsDesired = (desired: DeploymentDesired, observed: DeploymentObserved): boolean => {
  const { route: routed } = observed
  const pool = routed && findPool(observed, routed.release)
  return (
    routed !== undefined && pool !== undefined && isShownAsDesired(desired, observed) && isSame(routed.upstreams, pool.upstreams)
  )
}

const isRefreshed = (desired: DeploymentDesired, observed: DeploymentObserved): boolean =>
  observed.route === undefined || isSame(refreshedRoute(observed.route, observed, desired), observed.route)

const isShownAsDesired = ({ hostNames, path }: DeploymentDesired, { route: routed }: DeploymentObserved): boolean =>
  routed !== undefined && routed.path === path && isSame(routed.hostNames, hostNames)

const isClosed = (desired: DeploymentDesired, observed: DeploymentObserved, release: string): boolean =>
  observed.route?.failed === true && observed.route.release === release && isShownAsDesired(desired, observed)

const findPool = (observed: DeploymentObserved, release: string): PoolObserved | undefined =>
  observed.pools.find((pool) => pool.release === release)

const hasFailed = (observed: DeploymentObserved, release: string): boolean => observed.failed.includes(release)

const route = ({ release }: ReleaseRef): Step => ({ kind: 'route', release })
const retire = ({ release }: PoolObserved): Step => ({ kind: 'retire', release })

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)
