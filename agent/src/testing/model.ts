import type { ReleaseRef } from '@berth/shared/desired'
import fc from 'fast-check'
import { after } from '../plan/effects.ts'
import {
  type DeploymentDesired,
  type DeploymentObserved,
  nothingObserved,
  type PoolObserved,
  type RouteObserved,
  type Step,
  type Upstream
} from '../plan/state.ts'

/** Test support: random desired and observed states of one deployment, and a host made of the plan's own effects. */
const releases = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(64))

export const refOf = (release: string): ReleaseRef => ({
  release,
  id: '00000000-0000-4000-8000-000000000001',
  incarnation: 1,
  package: release,
  build: { name: 'node', version: '24.0.0', platform: 'linux-x64', digest: 'f'.repeat(64) }
})

/** In the model a release always gets the same port, so that a route is right or wrong at a glance. */
export const upstreamsOf = (release: string): Upstream[] => [{ host: '127.0.0.1', port: 4000 + release.charCodeAt(0) }]

/** A deployment that desires nothing but what is named. */
export const desiredOf = (change: Partial<DeploymentDesired> = {}): DeploymentDesired => ({
  deployment: '00000000-0000-4000-8000-00000000000d',
  application: '00000000-0000-4000-8000-00000000000a',
  subscription: '00000000-0000-4000-8000-00000000000c',
  hostNames: ['one.localhost'],
  path: '/',
  keepWarm: 'frozen',
  current: null,
  preparing: null,
  warm: null,
  operation: null,
  attempt: 1,
  bake: false,
  ...change
})

/** A deployment whose one pool runs this release and gets the requests. */
export const servingOf = (release: string): DeploymentObserved => ({
  ...nothingObserved,
  route: { release, hostNames: ['one.localhost'], path: '/', upstreams: upstreamsOf(release), failed: false },
  pools: [{ release, state: 'running', trust: 'probed', upstreams: upstreamsOf(release) }],
  installed: [release],
  folders: [release]
})

const arbitraryRelease = fc.constantFrom(...releases)
const arbitraryRef = fc.option(arbitraryRelease.map(refOf))
const hostNames = fc.constantFrom(['one.localhost'], ['one.localhost', 'two.localhost'])
const path = fc.constantFrom('/', '/shop')

export const arbitraryDesired: fc.Arbitrary<DeploymentDesired> = fc.record({
  deployment: fc.constant('00000000-0000-4000-8000-00000000000d'),
  application: fc.constant('00000000-0000-4000-8000-00000000000a'),
  subscription: fc.constant('00000000-0000-4000-8000-00000000000c'),
  hostNames,
  path,
  keepWarm: fc.constantFrom('frozen', 'running', 'off'),
  current: arbitraryRef,
  preparing: arbitraryRef,
  warm: arbitraryRef,
  operation: fc.constantFrom(null, '00000000-0000-4000-8000-000000000011', '00000000-0000-4000-8000-000000000012'),
  attempt: fc.nat(2),
  bake: fc.boolean()
})

const arbitraryPool: fc.Arbitrary<PoolObserved> = fc
  .record({
    release: arbitraryRelease,
    state: fc.constantFrom('starting', 'running', 'frozen', 'crashed'),
    trust: fc.constantFrom('none', 'thawed', 'probed', 'distrusted')
  })
  .map((pool) => ({
    ...pool,
    trust: pool.state === 'running' || (pool.state === 'frozen' && pool.trust === 'distrusted') ? pool.trust : 'none',
    upstreams: upstreamsOf(pool.release)
  }))

const arbitraryRoute: fc.Arbitrary<RouteObserved> = fc
  .record({ release: arbitraryRelease, hostNames, path, isStale: fc.boolean(), failed: fc.boolean() })
  .map(({ isStale, ...route }) => ({
    ...route,
    upstreams: route.failed ? [] : isStale ? [{ host: '127.0.0.1', port: 1 }] : upstreamsOf(route.release)
  }))

export const arbitraryObserved: fc.Arbitrary<DeploymentObserved> = fc
  .record({
    route: fc.option(arbitraryRoute, { nil: undefined }),
    pools: fc.uniqueArray(arbitraryPool, { selector: ({ release }) => release, maxLength: 2 }),
    installed: fc.uniqueArray(arbitraryRelease),
    unfetched: fc.uniqueArray(arbitraryRelease),
    partial: fc.uniqueArray(arbitraryRelease),
    adjacent: fc.dictionary(arbitraryRelease, arbitraryRelease, { maxKeys: 3 }),
    fallback: fc.option(
      fc.record({
        release: arbitraryRelease,
        operation: fc.constantFrom('00000000-0000-4000-8000-000000000011', '00000000-0000-4000-8000-000000000012'),
        attempt: fc.nat(2)
      }),
      { nil: undefined }
    )
  })
  .map(({ partial, ...observed }) => ({
    ...observed,
    unfetched: observed.unfetched.filter((release) => observed.installed.includes(release)),
    folders: [...new Set([...observed.installed, ...partial])],
    failed: [],
    lost: []
  }))

/** Carries out one step as a host would on which everything works. */
export const carryOut = (
  observed: DeploymentObserved,
  step: Step,
  desired: DeploymentDesired | undefined
): DeploymentObserved => {
  const next = after(observed, step, desired)
  if (step.kind !== 'start') return next
  return {
    ...next,
    pools: next.pools.map((pool) => (pool.release === step.release ? { ...pool, upstreams: upstreamsOf(pool.release) } : pool))
  }
}

/** The other outcome of a step that can go wrong by itself: a probe that is answered badly. */
export const fail = (observed: DeploymentObserved, step: Step): DeploymentObserved => {
  switch (step.kind) {
    case 'quick-probe':
      return {
        ...observed,
        pools: observed.pools.map((pool) => (pool.release === step.release ? { ...pool, trust: 'distrusted' } : pool))
      }
    case 'fetch':
      return { ...observed, unfetched: observed.unfetched.filter((release) => release !== step.release) }
    case 'probe':
    case 'install':
    case 'start':
    case 'route':
      return {
        ...observed,
        failed: [...new Set([...observed.failed, step.release])],
        lost: [...new Set([...observed.lost, step.release])]
      }
    default:
      return observed
  }
}

/** What a step would break for those who are being served; nothing when it is safe. */
export const findHarm = (observed: DeploymentObserved, step: Step): string | undefined => {
  const isRouted = 'release' in step && observed.route?.release === step.release && !observed.route.failed
  const pool = 'release' in step ? observed.pools.find(({ release }) => release === step.release) : undefined
  if ((step.kind === 'freeze' || step.kind === 'retire') && isRouted) return `${step.kind} of the routed pool`
  if (step.kind === 'route' && !(pool?.state === 'running' && pool.trust === 'probed')) return 'routes an unprobed pool'
  if (step.kind === 'start' && pool) return 'starts a pool that is there'
  if (step.kind === 'start' && observed.pools.length >= 2) return 'starts a third pool'
  if (step.kind === 'start' && !observed.installed.includes(step.release)) return 'starts what is not installed'
  if (step.kind === 'remove-files' && observed.pools.some(({ release }) => release === step.release))
    return 'removes the files of a pool'
  return undefined
}
