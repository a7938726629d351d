import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { and, eq, sql } from 'drizzle-orm'
import { observedServers, servers } from '../fleets/schema.ts'
import type { Log } from '../platform/service-loop.ts'
import { must, putFleet, putMember, testCell } from '../testing/cell.ts'
import { report } from '../testing/reporting-server.ts'
import { stageIn } from '../testing/stage.ts'

const cell = await testCell()
const { owner, objects } = cell
const { makeTestWriter } = stageIn(cell)

const keptOf = async (fleet: string): Promise<string[]> => {
  const rows = await owner.select().from(observedServers).where(eq(observedServers.fleetId, fleet))
  return rows.map(({ server }) => server).toSorted()
}

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

    assert.deepEqual(await keptOf(fleet), ['s-1'])
    for (const server of ['s-2', 's-3', 's-4'])
      assert.equal(said.filter((message) => message.includes(`report of server ${server}`)).length, 1)
  })

  it('that no database could keep are refused, and those of the other servers count', async () => {
    const fleet = await putFleet(cell, ['s-1', 's-2', 's-3', 's-4'])
    const writer = makeTestWriter()
    await writer.pass()
    const lie = async (server: string, more: object) => {
      await report(objects, fleet, server)
      const said = JSON.parse(must(await getBytes(objects, layout.observed(fleet, server))).toString('utf8'))
      await objects.put(layout.observed(fleet, server), Buffer.from(JSON.stringify({ ...said, ...more })))
    }
    await report(objects, fleet, 's-1')
    await lie('s-2', { zone: 'a\0b' })
    await lie('s-3', { refusals: [{ code: 'x', message: '\ud800' }] })
    await lie('s-4', { generation: 1e300 })

    await writer.pass()

    assert.deepEqual(await keptOf(fleet), ['s-1'])
    await owner.execute(sql`select * from fleet_reports(${fleet})`)
  })

  it('that the database refuses all the same are one server’s trouble', async () => {
    const fleet = await putFleet(cell, ['s-1', 's-odd', 's-2'])
    await owner.execute(sql`create function refuse_report() returns trigger language plpgsql as $$
      begin raise exception 'this report cannot be kept'; end $$`)
    await owner.execute(sql`create trigger refuse_report before insert on observed_servers for each row
      when (new.server = 's-odd') execute function refuse_report()`)
    const said: string[] = []
    const writer = makeTestWriter({ log: ({ message }) => said.push(message) })
    await writer.pass()
    for (const server of ['s-1', 's-odd', 's-2']) await report(objects, fleet, server)

    await writer.pass()

    assert.deepEqual(await keptOf(fleet), ['s-1', 's-2'])
    assert.equal(said.filter((message) => message.includes('keeping the report of server s-odd failed')).length, 1)
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
