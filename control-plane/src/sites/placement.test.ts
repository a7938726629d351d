import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type FleetToPlaceOn, place } from './placement.ts'

const fleet = (id: string, values: Partial<FleetToPlaceOn> = {}): FleetToPlaceOn => ({
  id,
  region: 'local',
  tenancy: 'public',
  status: 'active',
  servers: 2,
  sites: 0,
  ...values
})
const site = { region: 'local', tenancy: 'public' } as const

it('places a site on the least loaded active fleet of its Region and tenancy', () => {
  const fleets = [
    fleet('f-full', { sites: 10 }),
    fleet('f-large', { sites: 9, servers: 9 }),
    fleet('f-elsewhere', { region: 'eu-north-1' }),
    fleet('f-dedicated', { tenancy: 'dedicated' }),
    fleet('f-new', { status: 'creating' }),
    fleet('f-empty', { servers: 0 })
  ]

  assert.deepEqual(place(site, fleets), { kind: 'placed', fleet: 'f-large' })
  assert.deepEqual(place(site, fleets.toReversed()), { kind: 'placed', fleet: 'f-large' })
})

it('says why a site goes nowhere', () => {
  assert.deepEqual(place(site, [fleet('f-new', { status: 'creating' })]), {
    kind: 'unplaced',
    reason: 'no active public fleet is in local'
  })
})

it('tells equally loaded fleets apart by name', () => {
  assert.deepEqual(place(site, [fleet('f-b'), fleet('f-a')]), { kind: 'placed', fleet: 'f-a' })
})
