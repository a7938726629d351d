import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { eq, sql } from 'drizzle-orm'
import fc from 'fast-check'
import { applications } from '../applications/schema.ts'
import { builds } from '../builds/schema.ts'
import { lockDeployment } from '../deployments/store.ts'
import { operations } from '../operations/schema.ts'
import { inSubscription, one } from '../platform/database.ts'
import { releases } from '../releases/schema.ts'
import { sites } from '../sites/schema.ts'
import { testApi } from '../testing/api.ts'
import { putBuild, putDeployment, putVersion } from '../testing/scene.ts'
import { fitItem, type Span } from './rules.ts'
import { putItem } from './service.ts'
import { startItem } from './start.ts'

const { owner, ours } = await testApi()
await putBuild(owner, 'static', '1.0.0')
const newestStatic = await putBuild(owner, 'static', '1.1.0')
const node = await putBuild(owner, 'node', '24.1.0')

const scene = async (name: string) => {
  const made = await putDeployment(ours, name)
  await putVersion(owner, ours, made.application, { number: 1 })
  await putVersion(owner, ours, made.application, { number: 2, kind: 'node' })
  const schedule = (body: object) => ours.send('POST', `${made.path}/schedule-items`, body)
  return { ...made, schedule, items: async () => (await ours.send('GET', `${made.path}/schedule-items`)).body.items }
}
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()

describe('an item that starts now', () => {
  it('requests a release of the deployment as it is, and queues the operation, in one go', async () => {
    const { deployment, path, schedule } = await scene('now')
    await ours.send('PATCH', path, { settings: { COLOUR: 'red' } })

    const made = await schedule({ version: 1 })

    assert.equal(made.status, 202)
    assert.equal(made.body.build.id, newestStatic)
    assert.equal(made.body.loggingLevel, 'information')
    assert.equal(made.body.endsAt, null)
    const [operation] = await owner.select().from(operations).where(eq(operations.id, made.body.operation))
    assert.deepEqual([operation?.state, operation?.kind, operation?.createdBy], ['queued', 'deploy', ours.user])
    const [release] = await owner
      .select()
      .from(releases)
      .where(eq(releases.id, operation?.releaseId ?? ''))
    assert.deepEqual([release?.status, release?.version, release?.deploymentId], ['requested', 1, deployment])
    assert.deepEqual(release?.intent.settings, { COLOUR: 'red' })
  })

  it('chooses the build by what the version is, or takes the one that is named', async () => {
    const { schedule } = await scene('builds')

    assert.equal((await schedule({ version: 2 })).body.build.id, node)
    assert.equal((await schedule({ version: 2, build: { name: 'static', version: '1.0.0' } })).body.build.version, '1.0.0')
    assert.equal((await schedule({ version: 2, build: { name: 'static' } })).body.build.version, '1.1.0')
  })

  it('supersedes what is still on its way, and ends the item before', async () => {
    const { schedule, items } = await scene('again')
    const first = (await schedule({ version: 1 })).body
    const second = (await schedule({ version: 2 })).body

    const [before] = await owner.select().from(operations).where(eq(operations.id, first.operation))
    assert.equal(before?.state, 'superseded')
    const [newest, older] = await items()
    assert.equal(newest.id, second.id)
    assert.equal(older.endsAt, newest.startsAt)
  })

  it('leaves one open operation when many start at once', async () => {
    const { deployment, schedule } = await scene('herd')

    const all = await Promise.all(Array.from({ length: 5 }, () => schedule({ version: 1 })))

    assert.ok(all.every(({ status }) => status === 202))
    const rows = await owner.select().from(operations).where(eq(operations.deploymentId, deployment))
    assert.deepEqual(rows.map(({ state }) => state).toSorted(), ['queued', ...Array(4).fill('superseded')])
  })

  it('takes over from one that asked later and was served first, however long it waited for its turn', async () => {
    const { deployment, path, schedule, items } = await scene('overtaken')
    const overtaken = await inSubscription(owner, ours.subscription, async (tx) => {
      // The transaction begins here: for PostgreSQL, `now()` is this moment until it ends.
      await tx.execute(sql`select now()`)
      const first = (await schedule({ version: 1 })).body
      const locked = one(await lockDeployment(tx, deployment))
      const wish = { version: 2, buildId: newestStatic, createdBy: ours.user }
      const item = await putItem(tx, { deployment: locked, loggingLevel: undefined, span: {}, ...wish })
      const { operationId } = await startItem(tx, {
        ...wish,
        kind: 'deploy',
        id: item.id,
        subscriptionId: ours.subscription,
        deploymentId: deployment
      })
      return { first, item: item.id, operation: operationId }
    })

    const [newest, older] = await items()
    assert.deepEqual([newest.id, newest.endsAt], [overtaken.item, null])
    assert.deepEqual([older.id, older.endsAt], [overtaken.first.id, newest.startsAt])
    assert.ok(newest.startsAt > older.startsAt)
    const all = (await ours.send('GET', `${ours.below}/operations?deployment=${deployment}`)).body.items
    assert.deepEqual(
      all.map(({ id, state }: { id: string; state: string }) => [id, state]),
      [
        [overtaken.operation, 'queued'],
        [overtaken.first.operation, 'superseded']
      ]
    )
    assert.equal((await ours.send('GET', `${path}/status`)).body.operation.id, overtaken.operation)
  })

  it('refuses a version or a build that does not exist, by the field', async () => {
    const { schedule } = await scene('missing')
    for (const [body, field] of [
      [{ version: 3 }, '/version'],
      [{ version: 1, build: { name: 'static', version: '9.9.9' } }, '/build'],
      [{ version: 1, build: { name: 'php' } }, '/build']
    ] as const) {
      const refused = await schedule(body)
      assert.equal(refused.status, 404)
      assert.deepEqual([refused.body.code, refused.body.field], ['not_found', field])
    }
    await owner.update(builds).set({ status: 'withdrawn' }).where(eq(builds.id, node))
    assert.equal((await schedule({ version: 2 })).body.code, 'no_build')
    await owner.update(builds).set({ status: 'offered' }).where(eq(builds.id, node))
  })

  it('refuses where the application or the site is disabled', async () => {
    const one = await scene('disabled application')
    const two = await scene('disabled site')
    await owner.update(applications).set({ status: 'disabled' }).where(eq(applications.id, one.application))
    await owner.update(sites).set({ status: 'disabled' }).where(eq(sites.id, two.site))

    for (const { schedule } of [one, two]) assert.equal((await schedule({ version: 1 })).body.code, 'disabled')
  })
})

describe('an item that starts later', () => {
  it('changes nothing until then, and ends the open one before it', async () => {
    const { schedule, items, deployment } = await scene('later')
    const running = (await schedule({ version: 1 })).body
    const later = await schedule({ version: 2, startsAt: inHours(1) })

    assert.equal(later.body.operation, undefined)
    const [, before] = await items()
    assert.deepEqual([before.id, before.endsAt], [running.id, later.body.startsAt])
    assert.equal((await owner.select().from(releases).where(eq(releases.deploymentId, deployment))).length, 1)
  })

  it('ends where the next one starts, and never overlaps', async () => {
    const { schedule } = await scene('between')
    const last = (await schedule({ version: 1, startsAt: inHours(10) })).body

    const fits = await schedule({ version: 2, startsAt: inHours(5) })
    const overlaps = await schedule({ version: 2, startsAt: inHours(1), endsAt: inHours(6) })
    const backwards = await schedule({ version: 2, startsAt: inHours(2), endsAt: inHours(1) })

    assert.equal(fits.body.endsAt, last.startsAt)
    assert.equal(overlaps.body.code, 'schedule_overlap')
    assert.deepEqual([backwards.body.code, backwards.body.field], ['invalid', '/endsAt'])
  })
})

describe('fitting items', () => {
  it('never lets two of a deployment overlap, whatever was there and whenever it comes', () => {
    const moment = fc.integer({ min: 0, max: 50 })
    const wanted = fc.record({ start: moment, length: fc.option(fc.integer({ min: 1, max: 20 })), now: moment })
    fc.assert(
      fc.property(fc.array(wanted, { maxLength: 15 }), (all) => {
        let items: Span[] = []
        let now = 0
        for (const [index, { start, length, now: later }] of all.entries()) {
          now = Math.max(now, later)
          const startsAt = Math.max(start, now)
          const span = { startsAt: new Date(startsAt), endsAt: length === null ? null : new Date(startsAt + length) }
          const fit = fitItem(items, span, new Date(now))
          if (fit.kind === 'overlaps') continue
          items = items.map((item) => (fit.closes.includes(item.id) ? { ...item, endsAt: span.startsAt } : item))
          items.push({ id: String(index), startsAt: span.startsAt, endsAt: fit.endsAt })
          // One that was taken over from at its very start ran for no time at all.
          const sorted = items
            .filter(({ startsAt: from, endsAt }) => endsAt?.getTime() !== from.getTime())
            .toSorted((a, b) => a.startsAt.getTime() - b.startsAt.getTime())
          for (const [at, item] of sorted.entries()) {
            const next = sorted[at + 1]
            if (next) assert.ok(item.endsAt !== null && item.endsAt <= next.startsAt)
          }
        }
      })
    )
  })
})
