import type { Clock } from '@berth/shared/clock'
import type { ReleaseRef } from '@berth/shared/desired'
import { defaultPool } from '@berth/shared/fields'
import { Refusal } from '@berth/shared/refusal'
import type { ReleaseTuple } from '@berth/shared/release'
import type { limiter } from './bounded.ts'
import { ProbeFailure } from './failures.ts'
import type { Fallbacks } from './fallbacks.ts'
import type { FrontRoute, Host, PoolIdentity, ProbeResult } from './host/host.ts'
import type { Builds } from './install/builds.ts'
import type { Releases } from './install/releases.ts'
import type { Observer } from './observer.ts'
import type { KnownRelease, Packages } from './packages/packages.ts'
import { refreshedRoute } from './plan/effects.ts'
import type { DeploymentDesired, Step } from './plan/state.ts'
import type { PoolMemory } from './pool-memory.ts'
import type { Router } from './router.ts'

/** Half a second is what a rollback may wait for a thawed pool before it prepares beside instead. */
const quickProbeMs = 500
/** A pool that has just been started holds its turn so long, so that a server that wakes up does not start everything at once. */
const startSpacingMs = 500
const drainPollMs = 25
const closedQueueLength = 1

export type ApplyDeps = {
  readonly host: Host
  readonly address: string
  readonly packages: Packages
  readonly builds: Builds
  readonly releases: Releases
  readonly router: Router
  readonly observer: Observer
  readonly memory: PoolMemory
  readonly fallbacks: Fallbacks
  /** The operating-system identity of a deployment; nothing where this agent cannot give one. */
  readonly identityOf: (deployment: string) => Promise<PoolIdentity | undefined>
  /** Refuses while pools on this server could reach what is not theirs. */
  readonly requireIsolation: () => Promise<void>
  readonly starts: ReturnType<typeof limiter>
  readonly clock: Clock
}

export type Apply = (deployment: string, desired: DeploymentDesired | undefined, step: Step, signal: AbortSignal) => Promise<void>

/** Carries out one step of the plan. Every step is idempotent; a step that fails leaves what served serving. */
export const applier = (deps: ApplyDeps): Apply => {
  const { host, router, releases, packages, builds, memory, fallbacks, observer } = deps

  /** Ending a pool may outlast our patience; whoever asks for it again waits for the same end, never for a second one. */
  const ending = new Map<string, Promise<void>>()
  const end = (deployment: string, release: string): Promise<void> => {
    const key = `${deployment}/${release}`
    memory.note(deployment, release, { isEnding: true })
    const end =
      ending.get(key) ??
      host
        .stopPool(deployment, release)
        .then(() => memory.forget(deployment, release))
        .finally(() => ending.delete(key))
    ending.set(key, end)
    return end
  }

  return async (deployment, desired, step, signal) => {
    switch (step.kind) {
      case 'install': {
        const { ref, wanted } = getRef(desired, step.release)
        const content = await packages.get(ref, wanted)
        await builds.install(ref.build, signal)
        return releases.install(content, await deps.identityOf(deployment), signal)
      }
      case 'fetch': {
        // The same release may be named twice, by two packages.
        for (const ref of [desired?.current, desired?.preparing, desired?.warm])
          if (desired && ref?.release === step.release && !packages.isHere(ref)) await packages.get(ref, desired)
        return
      }
      case 'link':
        return releases.link(deployment, step.release, step.adjacent)
      case 'start':
        return start(deps, getRef(desired, step.release), signal)
      case 'probe':
        return probe(deps, getRef(desired, step.release), signal)
      case 'thaw':
        await host.thawPool(deployment, step.release).catch((error) => {
          memory.note(deployment, step.release, { trust: 'distrusted' })
          throw error
        })
        return memory.note(deployment, step.release, { trust: 'thawed' })
      case 'quick-probe':
        return quickProbe(deps, getRef(desired, step.release), signal)
      case 'route':
        return router.set(deployment, await routeOf(deps, getRef(desired, step.release)))
      case 'refresh': {
        const route = router.find(deployment)
        const { pools } = await observer.view(deployment, desired, await observer.look())
        return route && router.set(deployment, { ...route, ...refreshedRoute({ ...route, failed: false }, { pools }, desired) })
      }
      case 'close':
        return router.set(deployment, closedRoute(deployment, step.release, desired))
      case 'unroute':
        return router.set(deployment, undefined)
      case 'freeze':
        await drain(deps, deployment, step.release, signal)
        await host.freezePool(deployment, step.release)
        return memory.forget(deployment, step.release)
      case 'retire':
        await drain(deps, deployment, step.release, signal)
        return end(deployment, step.release)
      case 'remove-files':
        return releases.remove(deployment, step.release)
      case 'record-fallback':
        return fallbacks.put(deployment, step.fallback)
      case 'forget-fallback':
        return fallbacks.forget(deployment)
    }
  }
}

type Wanted = { readonly ref: ReleaseRef; readonly wanted: DeploymentDesired }

const getRef = (desired: DeploymentDesired | undefined, release: string): Wanted => {
  const ref = [desired?.current, desired?.preparing, desired?.warm].find((found) => found?.release === release)
  if (!desired || !ref) throw new Error(`the plan names release ${release}, which desired state does not`)
  return { ref, wanted: desired }
}

const start = async (deps: ApplyDeps, { ref, wanted }: Wanted, signal: AbortSignal): Promise<void> => {
  const { deployment, subscription } = wanted
  await deps.requireIsolation()
  const { release } = await deps.packages.describe(ref, wanted)
  const build = await deps.builds.find(ref.build)
  if (!build)
    throw new Refusal('missing_build', `the build of release ${ref.release} is not on this server; it is installed anew`)
  const identity = await deps.identityOf(deployment)
  await takeTurn(deps, signal)
  deps.memory.forget(deployment, ref.release)
  await deps.host.startPool({
    deployment,
    subscription,
    release: ref.release,
    releaseFolder: deps.releases.folderOf(deployment, ref.release),
    buildFolder: build.folder,
    requires: build.requires,
    settings: release.settings,
    pool: release.pool,
    startupMs: release.probe.startupMs,
    identity,
    address: deps.address,
    adjacentLink: deps.releases.adjacentLinkOf(deployment, ref.release)
  })
  noteStart(deps, deployment, ref.release, release)
}

const noteStart = (deps: ApplyDeps, deployment: string, ref: string, { pool }: ReleaseTuple): void => {
  const { shutdownTimeLimitMs } = pool
  deps.memory.note(deployment, ref, { trust: 'none', startedAt: deps.clock.now().getTime(), shutdownTimeLimitMs })
}

/** Waits for a turn; the turn ends by itself, whatever the pool does, so that a slow application delays nobody's start. */
const takeTurn = ({ starts, clock }: ApplyDeps, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    starts
      .run(async () => {
        resolve()
        await clock.wait(startSpacingMs)
      }, signal)
      .catch(reject)
  })

const probe = async (deps: ApplyDeps, { ref, wanted }: Wanted, signal: AbortSignal): Promise<void> => {
  const { deployment } = wanted
  const known = await deps.packages.describe(ref, wanted)
  const { path, status, count, timeoutMs, startupMs } = known.release.probe
  const now = deps.clock.now().getTime()
  const startedAt = deps.memory.find(deployment, ref.release)?.startedAt ?? now
  // A pool that a former agent started, or that was probed for long already, still gets the time for its answers.
  const deadlineMs = Math.max(startedAt + startupMs - now, timeoutMs * count)
  const request = { path, status, count, timeoutMs, deadlineMs, hostName: wanted.hostNames[0] ?? 'localhost' }
  const result = await deps.host.probe(deployment, ref.release, request, signal)
  signal.throwIfAborted()
  if (!result.ok) throw probeFailure(known, result)
  deps.memory.note(deployment, ref.release, { trust: 'probed', shutdownTimeLimitMs: known.release.pool.shutdownTimeLimitMs })
}

const quickProbe = async (deps: ApplyDeps, { ref, wanted }: Wanted, signal: AbortSignal): Promise<void> => {
  const { deployment } = wanted
  const { release } = await deps.packages.describe(ref, wanted)
  const { path, status } = release.probe
  const hostName = wanted.hostNames[0] ?? 'localhost'
  const request = { path, status, hostName, count: 1, timeoutMs: quickProbeMs, deadlineMs: quickProbeMs }
  const result = await deps.host.probe(deployment, ref.release, request, signal)
  signal.throwIfAborted()
  deps.memory.note(deployment, ref.release, { trust: result.ok ? 'probed' : 'distrusted' })
  if (!result.ok) throw new Refusal('slow_thaw', 'the kept pool did not answer within half a second; it is prepared anew beside')
}

const probeFailure = ({ release }: KnownRelease, result: Extract<ProbeResult, { ok: false }>): ProbeFailure => {
  const { last, reason } = result
  if (reason) return new ProbeFailure(reason.code, reason.message, result)
  const { path, status } = release.probe
  const found =
    last?.status !== undefined
      ? `answered ${last.status}, not ${status}`
      : last
        ? `was not answered (${last.error ?? 'no answer'})`
        : 'could not be asked: no worker listened'
  return new ProbeFailure(
    'probe_failed',
    `the probe of ${path} ${found}, also when it was asked ${result.attempts} times`,
    result
  )
}

/** What the package was signed for, and nothing else, is routed; the ports are looked up at the last moment. */
const routeOf = async (deps: ApplyDeps, { ref, wanted }: Wanted): Promise<FrontRoute> => {
  const { deployment, hostNames, path } = wanted
  const { release } = await deps.packages.describe(ref, wanted)
  const seen = await deps.observer.look()
  const pool = seen.pools.find((found) => found.deployment === deployment && found.release === ref.release)
  if (pool?.state !== 'running')
    throw new Refusal('pool_gone', `the pool of release ${ref.release} ended before it was routed; nothing was routed`)
  return {
    hostNames,
    path,
    deployment,
    release: ref.release,
    upstreams: pool.workers.map(({ port }) => ({ host: deps.address, port })),
    queueLength: release.pool.queueLength
  }
}

/** What the front answers 503 for: nothing runs that could answer. */
const closedRoute = (deployment: string, release: string, desired: DeploymentDesired | undefined): FrontRoute => ({
  hostNames: desired?.hostNames ?? [],
  path: desired?.path ?? '/',
  deployment,
  release,
  upstreams: [],
  queueLength: closedQueueLength,
  failed: true
})

/** Waits until the last request of a pool that is no longer routed is answered, or its shutdown limit is over. */
const drain = async (deps: ApplyDeps, deployment: string, release: string, signal: AbortSignal): Promise<void> => {
  const { clock, host, router, memory } = deps
  const route = router.find(deployment)
  if (route?.release === release && route.failed !== true)
    throw new Error(`the plan ends the pool of release ${release}, which is routed`)
  const limitMs = memory.find(deployment, release)?.shutdownTimeLimitMs ?? defaultPool.shutdownTimeLimitMs
  const deadline = clock.now().getTime() + limitMs
  while (clock.now().getTime() < deadline && (await host.inFlight(deployment, release)) > 0) {
    await clock.wait(drainPollMs, signal)
    signal.throwIfAborted()
  }
}
