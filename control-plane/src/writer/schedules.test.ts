import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { eq, sql } from 'drizzle-orm'
import { scheduleItems } from '../schedules/schema.ts'
import { must, testCell } from '../testing/cell.ts'
import { stageIn } from '../testing/stage.ts'

const cell = await testCell()
const { owner } = cell
const { findDeployment, lastOperation, stage } = stageIn(cell)

/** No release of this version can be requested: what starts it fails. */
const versionThatFails = 99
await owner.execute(sql`create function refuse_release() returns trigger language plpgsql as $$
  begin raise exception 'this release cannot be requested'; end $$`)
await owner.execute(
  sql.raw(`create trigger refuse_release before insert on releases for each row
    when (new.version = ${versionThatFails}) execute function refuse_release()`)
)

/** A deployment with one live item that ends where another, which is due, starts. */
const scene = async (successor: { readonly version: number; readonly endsAt?: Date }) => {
  const staged = await stage()
  await staged.deploy('one')
  await staged.settle()
  const { tenant } = staged
  const before = must((await owner.select().from(scheduleItems).where(eq(scheduleItems.deploymentId, tenant.deployment)))[0])
  const startsAt = new Date(before.startsAt.getTime() + 1)
  await owner.update(scheduleItems).set({ endsAt: startsAt }).where(eq(scheduleItems.id, before.id))
  const { subscriptionId, deploymentId, buildId, createdBy } = before
  await owner.insert(scheduleItems).values({ subscriptionId, deploymentId, buildId, createdBy, startsAt, ...successor })
  const live = must((await findDeployment(tenant)).liveReleaseId)
  const findBefore = async () => must((await owner.select().from(scheduleItems).where(eq(scheduleItems.id, before.id)))[0])
  return { ...staged, live, findBefore }
}

describe('a schedule item that is over', () => {
  it('goes on as long as its successor is due and cannot be started', async () => {
    const { tenant, writer, live, findBefore } = await scene({ version: versionThatFails })

    await writer.pass()

    assert.equal((await findDeployment(tenant)).liveReleaseId, live)
    assert.equal((await findBefore()).endedAt, null)
  })

  it('ends by the start of its successor', async () => {
    const { tenant, writer, live, findBefore } = await scene({ version: 1 })

    await writer.pass()

    assert.equal((await findDeployment(tenant)).liveReleaseId, live)
    assert.ok((await findBefore()).endedAt)
    assert.equal((await lastOperation(tenant)).kind, 'deploy')
    assert.notEqual((await lastOperation(tenant)).releaseId, live)
  })

  it('ends when its successor is over as well, and nothing runs any more', async () => {
    const { tenant, writer, findBefore } = await scene({ version: versionThatFails, endsAt: new Date() })

    await writer.pass()

    assert.equal((await findDeployment(tenant)).liveReleaseId, null)
    assert.ok((await findBefore()).endedAt)
  })
})
