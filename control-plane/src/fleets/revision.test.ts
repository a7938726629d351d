import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { eq, sql } from 'drizzle-orm'
import { must, testCell } from '../testing/cell.ts'
import { stageIn } from '../testing/stage.ts'
import { fleets } from './schema.ts'

const cell = await testCell()
const { owner } = cell
const { stage } = stageIn(cell)

describe('a fleet’s revision', () => {
  it('is raised by whatever changes what is rendered, and by nothing else', async () => {
    const { fleet, tenant, deploy, settle } = await stage()
    await deploy('one')
    await settle()
    const revision = async () => must((await owner.select().from(fleets).where(eq(fleets.id, fleet)))[0]).revision
    const raised = async (statement: Parameters<typeof owner.execute>[0]) => {
      const before = await revision()
      await owner.execute(statement)
      return (await revision()) > before
    }
    const { deployment, site } = tenant
    assert.equal(await raised(sql`update deployments set keep_warm = 'off' where id = ${deployment}`), true)
    assert.equal(await raised(sql`update deployments set status = 'disabled' where id = ${deployment}`), true)
    assert.equal(await raised(sql`update deployments set attempt = attempt + 1 where id = ${deployment}`), true)
    assert.equal(await raised(sql`update deployments set last_operation_id = ${randomUUID()} where id = ${deployment}`), true)
    assert.equal(await raised(sql`update sites set status = 'disabled' where id = ${site}`), true)
    assert.equal(await raised(sql`update host_names set host = ${randomUUID()} where site_id = ${site}`), true)
    assert.equal(await raised(sql`update releases set incarnation = 2 where deployment_id = ${deployment}`), true)
    assert.equal(await raised(sql`update deployments set bake_seconds = 5, settings = '{}' where id = ${deployment}`), false)
    assert.equal(await raised(sql`update releases set was_live = false where deployment_id = ${deployment}`), false)
    assert.equal(await raised(sql`update operations set blocker = 'x' where deployment_id = ${deployment}`), false)
  })
})
