import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { and, eq, isNull } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { operations } from '../operations/schema.ts'
import { scheduleItems } from '../schedules/schema.ts'
import { sites } from '../sites/schema.ts'
import { testApi } from '../testing/api.ts'
import { putBuild, putDeployment, putFleet, putVersion } from '../testing/scene.ts'
import { type Candidate, rollbackTarget } from './rules.ts'
import { releases } from './schema.ts'

const { owner, ours } = await testApi()
await putBuild(owner, 'static', '1.0.0')
await putFleet(owner, 'f-1', [])
await putFleet(owner, 'f-2', [])

/** A deployment whose versions 1 … `count` went live one after another. */
const scene = async (name: string, count: number) => {
  const made = await putDeployment(ours, name)
  await owner.update(sites).set({ fleetId: 'f-1' }).where(eq(sites.id, made.site))
  const ids: string[] = []
  for (let number = 1; number <= count; number++) {
    await putVersion(owner, ours, made.application, { number })
    const { operation } = (await ours.send('POST', `${made.path}/schedule-items`, { version: number })).body
    const { release } = (await ours.send('GET', `${ours.below}/operations/${operation}`)).body
    const packaged = { status: 'packaged', digest: String(number).repeat(64), fleetId: 'f-1' } as const
    await owner
      .update(releases)
      .set({ ...packaged, wasLive: true, liveAt: new Date(number * 1000) })
      .where(eq(releases.id, release))
    await owner.update(operations).set({ state: 'live' }).where(eq(operations.id, operation))
    await owner.update(deployments).set({ liveReleaseId: release }).where(eq(deployments.id, made.deployment))
    ids.push(release)
  }
  return { ...made, ids, rollBack: (body: object = {}) => ours.send('POST', `${made.path}/rollback`, body) }
}

describe('rolling back', () => {
  it('goes to the last release that was live before, whose package lies there already', async () => {
    const { ids, rollBack, path } = await scene('shop', 3)

    const { status, body } = await rollBack()

    assert.equal(status, 202)
    assert.deepEqual([body.kind, body.state, body.release, body.version], ['rollback', 'queued', ids[1], 2])
    const { items } = (await ours.send('GET', `${path}/releases`)).body
    assert.deepEqual(
      items.map(({ id, version }: { id: string; version: number }) => [id, version]),
      [
        [ids[2], 3],
        [ids[1], 2],
        [ids[0], 1]
      ]
    )
    const [item, before] = (await ours.send('GET', `${path}/schedule-items`)).body.items
    assert.deepEqual([item.version, item.operation], [2, body.id])
    assert.equal(before.endsAt, item.startsAt)
  })

  it('ends every item that was started before, also one whose end nobody has seen to yet', async () => {
    const { deployment, rollBack } = await scene('ended', 2)
    await owner
      .update(scheduleItems)
      .set({ endsAt: new Date(Date.now() - 1) })
      .where(and(eq(scheduleItems.deploymentId, deployment), isNull(scheduleItems.endedAt)))

    const { body } = await rollBack()

    const open = await owner
      .select({ operation: scheduleItems.operationId })
      .from(scheduleItems)
      .where(and(eq(scheduleItems.deploymentId, deployment), isNull(scheduleItems.endedAt)))
    assert.deepEqual(open, [{ operation: body.id }])
  })

  it('goes where it is told', async () => {
    const { ids, rollBack } = await scene('told', 3)

    assert.equal((await rollBack({ release: ids[0] })).body.version, 1)
    const live = await rollBack({ release: ids[2] })
    assert.deepEqual([live.body.code, live.body.field], ['already_live', '/release'])
  })

  it('has another package made where the site has moved to another fleet since', async () => {
    const { site, ids, rollBack } = await scene('moved', 2)
    await owner.update(sites).set({ fleetId: 'f-2' }).where(eq(sites.id, site))

    const { body } = await rollBack()

    assert.equal(body.version, 1)
    assert.ok(!ids.includes(body.release))
    const [made] = await owner.select().from(releases).where(eq(releases.id, body.release))
    assert.deepEqual([made?.status, made?.fleetId], ['requested', null])
  })

  it('refuses when nothing else was ever live, and for a release that could not be packaged', async () => {
    const { ids, rollBack } = await scene('first', 1)
    assert.equal((await rollBack()).body.code, 'nothing_to_roll_back_to')

    await owner
      .update(releases)
      .set({ status: 'failed' })
      .where(eq(releases.id, ids[0] ?? ''))
    assert.equal((await rollBack({ release: ids[0] })).body.code, 'release_failed')
  })

  it('refuses a release that was never live: nobody knows that it can be', async () => {
    const { ids, rollBack } = await scene('never', 2)
    await owner
      .update(releases)
      .set({ wasLive: false, liveAt: null })
      .where(eq(releases.id, ids[0] ?? ''))

    const { status, body } = await rollBack({ release: ids[0] })

    assert.deepEqual([status, body.code, body.field], [409, 'nothing_to_roll_back_to', '/release'])
  })

  it('refuses where the deployment is disabled', async () => {
    const { path, rollBack } = await scene('off', 2)
    await ours.send('PATCH', path, { status: 'disabled' })

    assert.equal((await rollBack()).body.code, 'disabled')
  })
})

describe('the target of a rollback', () => {
  const row = (id: string, liveAt: number | null, digest = id): Candidate => ({
    id,
    digest,
    status: 'packaged',
    wasLive: liveAt !== null,
    liveAt: liveAt === null ? null : new Date(liveAt)
  })

  it('is the last that was live, not the last that was made', () => {
    const [one, two, never, three] = [row('a', 1), row('b', 2), row('never', null), row('c', 3)]

    assert.equal(rollbackTarget([three, never, two, one], three), two)
    assert.equal(rollbackTarget([row('b', 4), three, one], row('b', 4))?.id, 'c')
  })

  it('is none that would run the very same', () => {
    assert.equal(rollbackTarget([row('a', 1, 'same'), row('b', 2, 'same')], row('b', 2, 'same')), undefined)
    assert.equal(rollbackTarget([], undefined), undefined)
  })
})
