import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Head, ReleaseRef } from '@berth/shared/desired'
import { nothingObserved } from './plan/state.ts'
import type { LaneState } from './report.ts'
import { sweeper } from './sweep.ts'
import { deploymentOf, siteOf } from './testing/fleet.ts'
import { desiredOf, refOf, servingOf } from './testing/model.ts'

const [old, next] = ['a'.repeat(64), 'b'.repeat(64)]
const head: Head = {
  fleet: 'f-1',
  generation: 1,
  digest: 'c'.repeat(64),
  revision: 1,
  signedAt: '2026-01-01T00:00:00.000Z',
  validUntil: '2100-01-01T00:00:00.000Z',
  root: 1,
  changed: []
}

/** What is swept on a server that is at rest, or not, where `current` is all that is desired. */
const sweptOf = async ({ view, isAtRest = true }: { view: LaneState['view']; isAtRest?: boolean }) => {
  const swept: string[] = []
  const current: ReleaseRef = refOf(next)
  const desired = desiredOf({ current })
  const shown = deploymentOf(desired, { current })
  await sweeper({
    reader: { held: () => ({ head, sites: [siteOf(desired.subscription, randomUUID(), desired.hostNames, [shown])] }) },
    reconciler: { isAtRest: () => isAtRest, states: () => [{ deployment: desired.deployment, desired, view, step: undefined }] },
    packages: { sweep: async () => void swept.push('packages') },
    builds: { sweep: async () => void swept.push('builds') }
  })()
  return swept
}

describe('what is no longer needed', () => {
  it('goes once everything that is desired stands', async () => {
    assert.deepEqual(await sweptOf({ view: servingOf(next) }), ['packages', 'builds'])
    assert.deepEqual(await sweptOf({ view: servingOf(next), isAtRest: false }), [])
  })

  it('is no build while an older release serves that desired state no longer names', async () => {
    assert.deepEqual(await sweptOf({ view: servingOf(old) }), ['packages'])
    assert.deepEqual(await sweptOf({ view: { ...nothingObserved, pools: servingOf(old).pools } }), ['packages'])
    assert.deepEqual(await sweptOf({ view: { ...nothingObserved, route: servingOf(old).route } }), ['packages'])
  })

  it('is every other build when what is named no more only answers 503', async () => {
    const { route } = servingOf(old)
    assert.ok(route)
    assert.deepEqual(await sweptOf({ view: { ...nothingObserved, route: { ...route, failed: true } } }), ['packages', 'builds'])
  })
})
