import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { arbitraryDesired, arbitraryObserved, carryOut, fail, findHarm, refOf, upstreamsOf } from '../testing/model.ts'
import { nextStep, plan, planDeployment } from './plan.ts'
import { type DeploymentDesired, type DeploymentObserved, nothingObserved, type PoolObserved } from './state.ts'

const deployment = '00000000-0000-4000-8000-00000000000d'
const a = 'a'.repeat(64)
const b = 'b'.repeat(64)
const c = 'c'.repeat(64)
const operation = '00000000-0000-4000-8000-000000000011'

const desired = (change: Partial<DeploymentDesired> = {}): DeploymentDesired => ({
  deployment,
  application: '00000000-0000-4000-8000-00000000000a',
  subscription: '00000000-0000-4000-8000-00000000000c',
  hostNames: ['one.localhost'],
  path: '/',
  keepWarm: 'frozen',
  current: refOf(a),
  preparing: null,
  warm: null,
  operation,
  attempt: 1,
  bake: false,
  ...change
})
const pool = (release: string, change: Partial<PoolObserved> = {}): PoolObserved => ({
  release,
  state: 'running',
  trust: 'probed',
  upstreams: upstreamsOf(release),
  ...change
})
const frozen = (release: string) => pool(release, { state: 'frozen', trust: 'none' })
const serving = (release: string, others: PoolObserved[] = [], change: Partial<DeploymentObserved> = {}): DeploymentObserved => {
  const installed = [release, ...others.map((other) => other.release)]
  return {
    ...nothingObserved,
    route: { release, hostNames: ['one.localhost'], path: '/', upstreams: upstreamsOf(release), failed: false },
    pools: [pool(release), ...others],
    installed,
    folders: installed,
    adjacent: others[0] ? { [release]: others[0].release } : {},
    ...change
  }
}
const kinds = (wanted: DeploymentDesired | undefined, observed: DeploymentObserved) =>
  planDeployment(wanted, observed).map((step) => ('release' in step ? `${step.kind} ${step.release[0]}` : step.kind))

/** Carries a whole plan out, as often as it takes, checking each step. */
const converge = (wanted: DeploymentDesired | undefined, from: DeploymentObserved): DeploymentObserved => {
  let state = from
  for (const step of planDeployment(wanted, from)) {
    assert.equal(findHarm(state, step), undefined)
    state = carryOut(state, step, wanted)
  }
  return state
}

/** What the words of the contract say, written without the plan. */
const assertAsDesired = (wanted: DeploymentDesired, state: DeploymentObserved) => {
  const { current, preparing, warm, keepWarm } = wanted
  if (!current && !preparing) return assert.deepEqual({ ...state, adjacent: {}, failed: [], lost: [] }, nothingObserved)
  const fellBack = state.fallback !== undefined
  const target = (fellBack ? warm : current)?.release
  assert.deepEqual(
    state.route,
    target && { release: target, hostNames: wanted.hostNames, path: wanted.path, upstreams: upstreamsOf(target), failed: false }
  )
  const prepared = preparing?.release === current?.release ? undefined : preparing?.release
  const second = prepared ?? (keepWarm === 'off' || fellBack ? undefined : warm?.release)
  const expected = [...new Set([target, second].filter((release) => release !== undefined))].map((release) =>
    release !== target && prepared === undefined && keepWarm === 'frozen' ? frozen(release) : pool(release)
  )
  const byRelease = (one: PoolObserved, other: PoolObserved) => (one.release < other.release ? -1 : 1)
  assert.deepEqual([...state.pools].sort(byRelease), expected.sort(byRelease))
  for (const { release } of state.pools) assert.ok(state.installed.includes(release))
  const named = [current?.release, preparing?.release, warm?.release]
  for (const release of state.unfetched) assert.ok(!named.includes(release))
  assert.deepEqual(
    state.folders.filter((release) => !named.includes(release)),
    []
  )
}

describe('the plan', () => {
  it('does nothing when the server is as desired', () => {
    fc.assert(
      fc.property(arbitraryDesired, arbitraryObserved, (wanted, from) => {
        const reached = converge(wanted, from)
        assert.deepEqual(plan({ [deployment]: wanted }, { [deployment]: reached }), [])
      })
    )
    const both = desired({ warm: refOf(b) })
    assert.deepEqual(kinds(both, serving(a, [frozen(b)])), [])
  })

  it('reaches the desired state from any state, harming nobody on the way', () => {
    fc.assert(fc.property(arbitraryDesired, arbitraryObserved, (wanted, from) => assertAsDesired(wanted, converge(wanted, from))))
  })

  it('reaches the desired state from any prefix of an interrupted plan for another one', () => {
    fc.assert(
      fc.property(arbitraryDesired, arbitraryDesired, arbitraryObserved, fc.nat(12), (first, second, from, stepsDone) => {
        let state = from
        for (const step of planDeployment(first, from).slice(0, stepsDone)) state = carryOut(state, step, first)
        assertAsDesired(second, converge(second, state))
      })
    )
  })

  it('ends, and harms nobody, whatever fails', () => {
    fc.assert(
      fc.property(arbitraryDesired, arbitraryObserved, fc.infiniteStream(fc.boolean()), (wanted, from, fails) => {
        let state = from
        for (let steps = 0; ; steps++) {
          const step = nextStep(wanted, state)
          if (!step) break
          assert.equal(findHarm(state, step), undefined)
          assert.ok(steps < 100, 'the plan has no end')
          // Only what can fail for good is failed here; a step that fails in passing is tried again and ends too.
          const isFailing = fails.next().value && fail(state, step) !== state
          state = isFailing ? fail(state, step) : carryOut(state, step, wanted)
        }
      })
    )
  })

  it('keeps routing what serves, whatever fails, while desired state still shows it somewhere', () => {
    fc.assert(
      fc.property(arbitraryDesired, fc.infiniteStream(fc.boolean()), (wanted, fails) => {
        fc.pre(wanted.current !== null)
        let state = serving(a)
        for (let step = nextStep(wanted, state); step; step = nextStep(wanted, state)) {
          const isFailing = fails.next().value && fail(state, step) !== state
          state = isFailing ? fail(state, step) : carryOut(state, step, wanted)
          assert.ok(state.route && !state.route.failed && state.route.upstreams.length > 0)
        }
      })
    )
  })

  it('brings a first release up and routes it only then', () => {
    assert.deepEqual(kinds(desired(), nothingObserved), ['install a', 'start a', 'probe a', 'route a'])
  })

  it('prepares a release beside the routed one without touching the route', () => {
    assert.deepEqual(kinds(desired({ preparing: refOf(b) }), serving(a)), ['install b', 'link a', 'start b', 'probe b'])
  })

  it('ends the warm pool to make room for what is prepared, keeps its files, and warms it again when that is given up', () => {
    const preparing = desired({ preparing: refOf(c), warm: refOf(b) })
    const before = serving(a, [frozen(b)])
    assert.deepEqual(kinds(preparing, before), ['install c', 'link a', 'retire b', 'start c', 'probe c'])

    const prepared = converge(preparing, before)
    assert.ok(prepared.folders.includes(b))

    const givenUp = desired({ warm: refOf(b) })
    assert.deepEqual(kinds(givenUp, prepared), ['link a', 'retire c', 'start b', 'probe b', 'freeze b', 'remove-files c'])
  })

  it('switches a prepared release in one step, then drains and freezes the old one', () => {
    const switched = desired({ current: refOf(b), warm: refOf(a), bake: true })
    const ready = serving(a, [pool(b)])
    assert.deepEqual(kinds(switched, ready), ['link b', 'route b', 'freeze a'])
  })

  it('rolls back to a frozen release with a single quick answer', () => {
    const rolledBack = desired({ current: refOf(b), warm: refOf(a) })
    assert.deepEqual(kinds(rolledBack, serving(a, [frozen(b)])), ['thaw b', 'quick-probe b', 'link b', 'route b', 'freeze a'])
  })

  it('serves on and prepares beside when a thawed release does not answer in time', () => {
    const rolledBack = desired({ current: refOf(b), warm: refOf(a) })
    const distrusted = serving(a, [pool(b, { trust: 'distrusted' })])
    assert.deepEqual(kinds(rolledBack, distrusted), ['retire b', 'start b', 'probe b', 'link b', 'route b', 'freeze a'])
  })

  it('falls back to the warm release while the new one bakes, and counts that as equal until it is asked anew', () => {
    const baking = desired({ current: refOf(b), warm: refOf(a), bake: true })
    const crashed = serving(b, [frozen(a)], { pools: [pool(b, { state: 'crashed', trust: 'none' }), frozen(a)] })
    assert.deepEqual(kinds(baking, crashed).slice(0, 3), ['record-fallback', 'thaw a', 'quick-probe a'])

    const fallenBack = converge(baking, crashed)
    assert.equal(fallenBack.route?.release, a)
    assert.deepEqual(kinds({ ...baking, bake: false }, fallenBack), [])
    assert.equal(kinds({ ...baking, attempt: 2 }, fallenBack)[0], 'forget-fallback')
  })

  it('never falls back because of what failed in passing: only because of what failed for good', () => {
    const baking = desired({ current: refOf(b), warm: refOf(a), bake: true })
    const rebooted = { ...nothingObserved, installed: [a, b], folders: [a, b], failed: [b] }
    assert.ok(!kinds(baking, rebooted).includes('record-fallback'))
    assert.equal(kinds(baking, { ...rebooted, lost: [b] })[0], 'record-fallback')
  })

  it('fetches a package made anew for a release that runs already, and touches no pool for it', () => {
    const both = desired({ warm: refOf(b) })
    assert.deepEqual(kinds(both, serving(a, [frozen(b)], { unfetched: [a, b] })), ['fetch a', 'fetch b'])
  })

  it('answers 503 for a release that failed when there is nothing to fall back to, and does not try it for ever', () => {
    const failed = { ...serving(a), pools: [pool(a, { state: 'crashed', trust: 'none' })], failed: [a] } as const
    assert.deepEqual(kinds(desired(), failed), ['close a', 'retire a'])
    assert.deepEqual(kinds(desired(), converge(desired(), failed)), [])
  })

  it('never lets the table name workers that are gone while it starts new ones', () => {
    const rebooted = { ...serving(a), pools: [] }
    assert.deepEqual(kinds(desired(), rebooted), ['close a', 'start a', 'probe a', 'route a'])
  })

  it('starts what serves before what is kept warm after a reboot', () => {
    const rebooted = serving(a, [], { pools: [], route: undefined, installed: [a, b], folders: [a, b], adjacent: { [a]: b } })
    assert.deepEqual(kinds(desired({ warm: refOf(b) }), rebooted), [
      'start a',
      'probe a',
      'route a',
      'start b',
      'probe b',
      'freeze b'
    ])
  })

  it('drains, ends and removes a deployment that is no longer wanted', () => {
    assert.deepEqual(kinds(undefined, serving(a, [frozen(b)])), [
      'unroute',
      'retire a',
      'retire b',
      'remove-files a',
      'remove-files b'
    ])
  })

  it('follows a change of host names without touching a pool', () => {
    assert.deepEqual(kinds(desired({ hostNames: ['two.localhost'] }), serving(a)), ['route a'])
  })
})
