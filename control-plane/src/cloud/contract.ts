import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { eventually } from '@berth/shared/testing/eventually'
import type { Cloud, FleetSpec, FleetStatus } from './cloud.ts'

/** One side of the door, made ready for the suite. */
export type CloudUnderTest = {
  readonly cloud: Cloud
  /** A fleet that can be declared: whatever its servers need is there. */
  readonly specOf: (fleet: string, servers: number) => Promise<FleetSpec>
  /** Whether a request for this host is answered by a server of this fleet; nothing when nobody answers for the host. */
  readonly fleetAnswering: (host: string) => Promise<string | undefined>
  readonly end: () => Promise<void>
}

/** What every side of the `cloud` door promises. `deadlineMs` is how long a fleet may take to follow. */
export const cloudContract = (
  name: string,
  make: () => Promise<CloudUnderTest>,
  { deadlineMs }: { readonly deadlineMs: number }
) =>
  describe(`the cloud door: ${name}`, () => {
    let side: CloudUnderTest

    before(async () => {
      side = await make()
    })
    after(() => side.end())

    const until = (fleet: string, what: string, check: (status: FleetStatus | undefined) => boolean) =>
      eventually(
        async () => {
          const status = await side.cloud.describeFleet(fleet)
          return check(status) ? { status } : undefined
        },
        { deadlineMs, what }
      )
    const isWhole = (servers: number) => (status: FleetStatus | undefined) =>
      status?.state === 'active' && status.members.length === servers && status.members.every(({ state }) => state === 'healthy')

    it('knows nothing of a fleet that was not declared', async () => {
      assert.equal(await side.cloud.describeFleet('f-nobody'), undefined)
      await side.cloud.deleteFleet('f-nobody')
    })

    it('answers a declaration before the servers are there, and then brings them up in different zones', async () => {
      await side.cloud.putFleet(await side.specOf('f-one', 2))

      assert.equal((await side.cloud.describeFleet('f-one'))?.state, 'creating')
      const { status } = await until('f-one', 'a fleet of two healthy servers', isWhole(2))
      assert.equal(new Set(status?.members.map(({ zone }) => zone)).size, 2)
      assert.equal(new Set(status?.members.map(({ server }) => server)).size, 2)
      assert.match(status?.balancer ?? '', /^[^:]+:[0-9]+$/)
    })

    it('changes nothing when the same is declared again', async () => {
      const before = await side.cloud.describeFleet('f-one')

      await side.cloud.putFleet(await side.specOf('f-one', 2))

      assert.deepEqual(await side.cloud.describeFleet('f-one'), before)
    })

    it('leads requests for a name to its fleet, and no others', async () => {
      await side.cloud.putName('one.localhost', 'f-one')
      await side.cloud.putName('one.localhost', 'f-one')

      assert.deepEqual(await side.cloud.listNames(), { 'one.localhost': 'f-one' })
      await eventually(async () => (await side.fleetAnswering('one.localhost')) === 'f-one', { deadlineMs })
      assert.equal(await side.fleetAnswering('two.localhost'), undefined)
    })

    it('moves a name to another fleet', async () => {
      await side.cloud.putFleet(await side.specOf('f-two', 1))
      await until('f-two', 'a fleet of one healthy server', isWhole(1))

      await side.cloud.putName('one.localhost', 'f-two')

      await eventually(async () => (await side.fleetAnswering('one.localhost')) === 'f-two', { deadlineMs })
    })

    it('refuses a name for a fleet that is not there, and leaves the name as it was', async () => {
      await assert.rejects(side.cloud.putName('one.localhost', 'f-nobody'), { code: 'not_found' })

      assert.deepEqual(await side.cloud.listNames(), { 'one.localhost': 'f-two' })
    })

    it('forgets a deleted name, also when it is deleted twice', async () => {
      await side.cloud.deleteName('one.localhost')
      await side.cloud.deleteName('one.localhost')

      assert.deepEqual(await side.cloud.listNames(), {})
      await eventually(async () => (await side.fleetAnswering('one.localhost')) === undefined, { deadlineMs })
    })

    it('adds servers to a fleet, and takes some away, without replacing those that stay', async () => {
      const membersOf = async () => (await side.cloud.describeFleet('f-one'))?.members.map(({ server }) => server) ?? []
      const [first, second] = await membersOf()

      await side.cloud.putFleet(await side.specOf('f-one', 3))
      await until('f-one', 'a fleet of three healthy servers', isWhole(3))
      const grown = await membersOf()
      assert.ok(first && grown.includes(first) && second && grown.includes(second))

      await side.cloud.putFleet(await side.specOf('f-one', 1))
      await until('f-one', 'a fleet of one healthy server', isWhole(1))
      assert.ok((await membersOf()).every((server) => grown.includes(server)))
    })

    it('removes a deleted fleet with all its servers, and touches no other', async () => {
      const other = await side.cloud.describeFleet('f-two')
      await side.cloud.deleteFleet('f-one')

      assert.ok([undefined, 'deleting'].includes((await side.cloud.describeFleet('f-one'))?.state))
      await until('f-one', 'a fleet that is gone', (status) => status === undefined)
      assert.deepEqual(await side.cloud.describeFleet('f-two'), other)
    })

    it('refuses a fleet whose birth record is of another one', async () => {
      const spec = await side.specOf('f-three', 1)

      await assert.rejects(side.cloud.putFleet({ ...spec, birth: { ...spec.birth, fleet: 'f-other' } }), { code: 'invalid' })

      assert.equal(await side.cloud.describeFleet('f-three'), undefined)
    })
  })
