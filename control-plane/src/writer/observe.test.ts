import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { layout } from '@berth/shared/layout'
import { and, eq } from 'drizzle-orm'
import { observedServers, servers } from '../fleets/schema.ts'
import type { Log } from '../platform/service-loop.ts'
import { putFleet, putMember, testCell } from '../testing/cell.ts'
import { report } from '../testing/reporting-server.ts'
import { stageIn } from '../testing/stage.ts'

const cell = await testCell()
const { owner, objects } = cell
const { makeTestWriter } = stageIn(cell)

describe('reports', () => {
  it('count only from members that the cloud names, in a size and a shape that are right, and about themselves', async () => {
    const fleet = await putFleet(cell, ['s-1', 's-2', 's-3', 's-4'])
    const said: string[] = []
    const log: Log = ({ message }) => said.push(message)
    const writer = makeTestWriter({ log })
    await writer.pass()
    await report(objects, fleet, 's-1')
    await report(objects, fleet, 's-stranger')
    await objects.put(layout.observed(fleet, 's-2'), Buffer.alloc(256 * 1024 + 1, ' '))
    await objects.put(layout.observed(fleet, 's-3'), Buffer.from('{"format":1}'))
    await objects.copy(layout.observed(fleet, 's-1'), layout.observed(fleet, 's-4'))

    await writer.pass()
    await writer.pass()

    const rows = await owner.select().from(observedServers).where(eq(observedServers.fleetId, fleet))
    assert.deepEqual(
      rows.map(({ server }) => server),
      ['s-1']
    )
    for (const server of ['s-2', 's-3', 's-4'])
      assert.equal(said.filter((message) => message.includes(`report of server ${server}`)).length, 1)
  })

  it('of servers that are gone are forgotten', async () => {
    const fleet = await putFleet(cell, ['s-1'])
    const writer = makeTestWriter()
    await writer.pass()
    await report(objects, fleet, 's-1')
    await writer.pass()
    await putMember(cell, fleet, 's-2')
    await owner.delete(servers).where(and(eq(servers.fleetId, fleet), eq(servers.server, 's-1')))

    await writer.pass()

    assert.deepEqual(await owner.select().from(observedServers).where(eq(observedServers.fleetId, fleet)), [])
  })
})
