import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { fleetKeyName, fleetPairContext } from '@berth/shared/release'
import { eq } from 'drizzle-orm'
import type { Cloud, FleetSpec, FleetStatus } from '../cloud/cloud.ts'
import { fleets, servers } from '../fleets/schema.ts'
import { hostNames, sites } from '../sites/schema.ts'
import { keysBelow, must, putTenant, testCell } from '../testing/cell.ts'
import { makeProvisioner } from './provisioner.ts'

const cell = await testCell()
const { owner, objects, keys } = cell
const db = cell.dbOf('berth_provisioner')

/** A cloud that remembers what it was told; what it says of a fleet is up to the test. */
const rememberingCloud = () => {
  const specs = new Map<string, FleetSpec>()
  const statuses = new Map<string, FleetStatus>()
  const names: Record<string, string> = {}
  const calls: string[] = []
  const cloud: Cloud = {
    putFleet: async (spec) => {
      calls.push(`putFleet ${spec.fleet}`)
      specs.set(spec.fleet, spec)
    },
    deleteFleet: async (fleet) => {
      specs.delete(fleet)
    },
    describeFleet: async (fleet) => statuses.get(fleet),
    putName: async (host, fleet) => {
      names[host] = fleet
    },
    deleteName: async (host) => {
      delete names[host]
    },
    listNames: async () => ({ ...names })
  }
  return { cloud, specs, statuses, names, calls }
}
const makeTestProvisioner = (cloud: Cloud, said: string[] = []) =>
  makeProvisioner({
    db,
    hints: async () => undefined,
    objects,
    keys,
    makeFleetKey: (name) => cell.makeKey(name, 'wrap'),
    cloud,
    cloudKind: 'local',
    clock: systemClock,
    log: ({ message }) => said.push(message)
  })
const declareFleet = async (id: string, count = 2) => {
  await owner.insert(fleets).values({ id, tenancy: 'public', region: id, cell: 'local', servers: count })
  return id
}

describe('the provisioner', () => {
  it('gives a declared fleet its trust, its key pair and its servers, with what they are born to trust', async () => {
    const fleet = await declareFleet('f-new')
    const { cloud, specs } = rememberingCloud()

    await makeTestProvisioner(cloud).pass()

    const root = must(await getBytes(objects, layout.root(1)))
    assert.deepEqual(await getBytes(objects, layout.fleetRoot(fleet, 1)), root)
    const spec = must(specs.get(fleet))
    assert.equal(spec.servers, 2)
    assert.deepEqual(spec.birth, {
      format: 1,
      fleet,
      cell: 'local',
      cloud: 'local',
      tenancy: 'public',
      root: JSON.parse(String(root))
    })
    const pair = JSON.parse(String(must(await getBytes(objects, layout.fleetKey(fleet)))))
    const privateKey = await keys.unwrap(fleetKeyName(fleet), Buffer.from(pair.wrapped, 'base64'), fleetPairContext(fleet))
    assert.ok(privateKey.length > 1000)
    assert.match(pair.publicKey, /BEGIN PUBLIC KEY/)
  })

  it('keeps a fleet’s pair: whatever was sealed to it stays openable', async () => {
    const fleet = await declareFleet('f-kept')
    const { cloud } = rememberingCloud()
    await makeTestProvisioner(cloud).pass()
    const before = await getBytes(objects, layout.fleetKey(fleet))

    await makeTestProvisioner(cloud).pass()

    assert.deepEqual(await getBytes(objects, layout.fleetKey(fleet)), before)
    assert.deepEqual((await keysBelow(cell, layout.fleetPrefix(fleet))).length, 2)
  })

  it('notes what the cloud says of members, and forgets those that it no longer names', async () => {
    const fleet = await declareFleet('f-members')
    const { cloud, statuses } = rememberingCloud()
    const provisioner = makeTestProvisioner(cloud)
    const member = (server: string, state: 'starting' | 'healthy') => ({ server, zone: 'local-a', state })
    statuses.set(fleet, {
      state: 'active',
      balancer: '127.0.0.1:8000',
      members: [member('s-1', 'healthy'), member('s-2', 'starting')]
    })
    await provisioner.pass()
    statuses.set(fleet, { state: 'active', balancer: '127.0.0.1:8000', members: [member('s-2', 'healthy')] })

    await provisioner.pass()

    const rows = await owner.select().from(servers).where(eq(servers.fleetId, fleet))
    assert.deepEqual(
      rows.map(({ server, state }) => [server, state]),
      [['s-2', 'healthy']]
    )
    const row = must((await owner.select().from(fleets).where(eq(fleets.id, fleet)))[0])
    assert.deepEqual([row.status, row.balancer], ['active', '127.0.0.1:8000'])
  })

  it('tells the cloud a fleet’s size again only when it changed', async () => {
    const fleet = await declareFleet('f-size')
    const { cloud, statuses, calls, specs } = rememberingCloud()
    statuses.set(fleet, { state: 'active', balancer: '127.0.0.1:8000', members: [] })
    const provisioner = makeTestProvisioner(cloud)
    for (let pass = 0; pass < 3; pass++) await provisioner.pass()
    assert.equal(calls.filter((call) => call === `putFleet ${fleet}`).length, 1)
    await owner.update(fleets).set({ servers: 5 }).where(eq(fleets.id, fleet))

    await provisioner.pass()

    assert.equal(specs.get(fleet)?.servers, 5)
  })

  it('points the names of placed sites at their fleets, and takes away those that nobody has any more', async () => {
    const fleet = await declareFleet('f-names')
    const { cloud, names } = rememberingCloud()
    const [placed, unplaced] = [await putTenant(cell), await putTenant(cell)]
    await owner.update(sites).set({ fleetId: fleet }).where(eq(sites.id, placed.site))
    const provisioner = makeTestProvisioner(cloud)
    await provisioner.pass()
    assert.equal(names[placed.host], fleet)
    assert.equal(unplaced.host in names, false)
    await owner.delete(hostNames).where(eq(hostNames.siteId, placed.site))

    await provisioner.pass()

    assert.equal(placed.host in names, false)
  })

  it('goes on with other fleets, and says it once, when one cannot be kept', async () => {
    const [broken, well] = [await declareFleet('f-broken'), await declareFleet('f-well')]
    const { cloud, specs } = rememberingCloud()
    const said: string[] = []
    const failing: Cloud = {
      ...cloud,
      describeFleet: async (fleet) => {
        if (fleet === broken) throw new Error('the cloud says no')
        return cloud.describeFleet(fleet)
      }
    }
    const provisioner = makeTestProvisioner(failing, said)
    for (let pass = 0; pass < 3; pass++) await provisioner.pass()

    assert.ok(specs.has(well))
    assert.equal(said.filter((message) => message.includes(broken)).length, 1)
  })
})
