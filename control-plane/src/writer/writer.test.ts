import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { ObjectsError } from '@berth/shared/objects/objects'
import { eventually } from '@berth/shared/testing/eventually'
import { and, eq } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { fleets, servers } from '../fleets/schema.ts'
import { operations } from '../operations/schema.ts'
import { inTransaction, listen } from '../platform/database.ts'
import { auditEntries } from '../platform/schema.ts'
import { scheduleItems } from '../schedules/schema.ts'
import { startItem } from '../schedules/start.ts'
import { must, putFleet, testCell } from '../testing/cell.ts'
import { readDesired, report } from '../testing/reporting-server.ts'
import { stageIn } from '../testing/stage.ts'

const cell = await testCell()
const { owner, objects } = cell
const { db, sealer, makeTestWriter, findDeployment, lastOperation, releaseOf, stage } = stageIn(cell)

describe('a deploy', () => {
  it('is prepared beside what is served, switched when every server is ready, and live when all route it', async () => {
    const { tenant, writer, deploy, servers, desired } = await stage()
    await deploy('one')
    await writer.pass()
    assert.equal((await lastOperation(tenant)).state, 'preparing')
    const preparing = must(await desired())
    assert.equal(preparing.current, null)
    assert.ok(preparing.preparing)

    await servers()
    await writer.pass()
    assert.equal((await lastOperation(tenant)).state, 'switching')
    const switching = must(await desired())
    assert.deepEqual([switching.current, switching.preparing, switching.bake], [preparing.preparing, null, true])

    await servers()
    await writer.pass()
    const operation = await lastOperation(tenant)
    assert.deepEqual(
      operation.steps.map(({ state }) => state),
      ['queued', 'preparing', 'switching', 'live']
    )
    assert.equal((await releaseOf(operation.releaseId)).wasLive, true)
    const audit = await owner
      .select()
      .from(auditEntries)
      .where(eq(auditEntries.object, `operation/${operation.id}`))
    assert.deepEqual(
      audit.map(({ action }) => action),
      ['operations.prepare', 'operations.switch', 'operations.complete']
    )
  })

  it('keeps what it replaced warm, and ends its trial on the database’s clock', async () => {
    const { tenant, writer, deploy, settle, desired } = await stage()
    await deploy('one')
    await settle()
    const first = must(await desired()).current
    await deploy('two')
    await settle()
    assert.deepEqual([must(await desired()).warm, must(await desired()).bake], [first, true])

    await owner
      .update(deployments)
      .set({ bakeUntil: new Date(0) })
      .where(eq(deployments.id, tenant.deployment))
    await writer.pass()

    assert.equal(must(await desired()).bake, false)
  })

  it('of what is live already keeps the older release warm, since it is the same pool', async () => {
    const { tenant, writer, deploy, settle, desired } = await stage()
    await deploy('one')
    await settle()
    await deploy('two')
    await settle()
    const before = must(await desired())
    const item = must((await owner.select().from(scheduleItems).where(eq(scheduleItems.deploymentId, tenant.deployment)))[0])
    await inTransaction(owner, (tx) => startItem(tx, { ...item, kind: 'deploy', version: 2 }))
    await sealer.pass()
    await settle()
    await writer.pass()

    const after = must(await desired())
    assert.notEqual(must(after.current).id, must(before.current).id)
    assert.deepEqual([must(after.current).release, after.warm], [must(before.current).release, before.warm])
  })

  it('that fails its preparation on all servers changes nothing that is served', async () => {
    const { tenant, deploy, settle, desired } = await stage()
    await deploy('one')
    await settle()
    const before = must(await desired())
    await deploy('two')

    const reason = { code: 'probe_failed', message: 'GET / answered 500' }
    await settle(({ preparing, current }) =>
      preparing
        ? {
            pools: [
              { release: must(current).release, state: 'ready', restarts: 0 },
              { release: preparing.release, state: 'failed', reason, restarts: 0 }
            ]
          }
        : {}
    )

    const operation = await lastOperation(tenant)
    assert.deepEqual([operation.state, operation.reason?.code], ['failed', 'prepare_failed'])
    assert.match(must(operation.reason).message, /answered 500/)
    const after = must(await desired())
    assert.deepEqual([after.current, after.preparing, after.warm], [before.current, null, before.warm])
  })

  it('names the server that it waits for, and is not held up by one that the cloud no longer counts', async () => {
    const { fleet, tenant, writer, deploy } = await stage()
    await deploy('one')
    await writer.pass()
    await report(objects, fleet, 's-1')
    await writer.pass()
    const waiting = await lastOperation(tenant)
    assert.deepEqual([waiting.state, waiting.blocker], ['preparing', 'server s-2 has not reported'])

    await owner
      .update(servers)
      .set({ state: 'unhealthy' })
      .where(and(eq(servers.fleetId, fleet), eq(servers.server, 's-2')))
    await writer.pass()

    assert.equal((await lastOperation(tenant)).state, 'switching')
  })

  it('goes back by itself when its servers fell back within the trial', async () => {
    const { tenant, deploy, settle, desired } = await stage()
    await deploy('one')
    await settle()
    const first = must(await desired()).current
    await deploy('two')
    await settle()
    const failing = await lastOperation(tenant)

    await settle(({ current, warm, operation, attempt, bake }) =>
      bake && warm && current && operation
        ? { routed: warm.release, fallback: { release: current.release, operation, attempt } }
        : {}
    )

    const back = await lastOperation(tenant)
    assert.notEqual(back.id, failing.id)
    assert.deepEqual([back.kind, back.state, back.reason?.code], ['rollback', 'live', 'fallback'])
    assert.deepEqual([must(await desired()).current, must(await desired()).bake], [first, false])
  })

  it('fails, and everything goes back, when its servers fall back during the switch', async () => {
    const { tenant, deploy, settle, desired } = await stage()
    await deploy('one')
    await settle()
    const first = must(await desired()).current
    await deploy('two')
    const failing = await lastOperation(tenant)

    await settle(({ current, warm, operation, attempt, bake }) =>
      bake && warm && current && operation
        ? { routed: warm.release, fallback: { release: current.release, operation, attempt } }
        : {}
    )

    const [failed] = await owner.select().from(operations).where(eq(operations.id, failing.id))
    assert.deepEqual([must(failed).state, must(failed).reason?.code], ['failed', 'fallback'])
    assert.deepEqual(must(await desired()).current, first)
    assert.equal((await lastOperation(tenant)).state, 'live')
  })
})

describe('a rollback', () => {
  it('to the warm release is one head, with nothing to prepare', async () => {
    const { fleet, tenant, writer, deploy, settle, servers, desired, request } = await stage()
    await deploy('one')
    await settle()
    await deploy('two')
    await settle()
    const before = must(await desired())
    const { generation } = (await readDesired(objects, fleet)).head
    await request('rollback', must(before.warm).id)

    await writer.pass()

    const after = must(await desired())
    assert.equal((await readDesired(objects, fleet)).head.generation, generation + 1)
    assert.deepEqual([after.current, after.warm, after.preparing], [before.warm, before.current, null])
    await servers()
    await writer.pass()
    assert.deepEqual(
      [(await lastOperation(tenant)).state, (await findDeployment(tenant)).liveReleaseId],
      ['live', must(before.warm).id]
    )
  })

  it('is heard at once by a running writer', async () => {
    const { tenant, deploy, settle, desired, request } = await stage()
    await deploy('one')
    await settle()
    await deploy('two')
    await settle()
    const { warm } = must(await desired())
    const stop = new AbortController()
    const running = makeTestWriter({
      hints: (onHint, signal) => listen(cell.database.urlOf('berth_writer'), 'berth_writer', onHint, signal, systemClock)
    }).run(stop.signal)
    try {
      await request('rollback', must(warm).id)
      await eventually(
        async () => (await lastOperation(tenant)).state === 'switching' && must(await desired()).current?.id === must(warm).id
      )
    } finally {
      stop.abort()
      await running
    }
  })
})

describe('a deployment', () => {
  it('that is disabled leaves the servers, and comes back with what was live when it is enabled', async () => {
    const { tenant, deploy, settle, desired, request } = await stage()
    await deploy('one')
    await settle()
    const before = must(await desired())
    await request('disable', null)
    await settle()
    assert.equal((await lastOperation(tenant)).state, 'live')
    assert.equal(await desired(), undefined)

    await request('enable', null)
    await settle()

    assert.equal((await lastOperation(tenant)).state, 'live')
    assert.deepEqual(must(await desired()).current, before.current)
  })

  it('starts what is due, ends what is over, and a successor takes over without a gap', async () => {
    const { tenant, deploy, settle, desired } = await stage()
    await deploy('one')
    await settle()
    const build = must(
      (await owner.select().from(scheduleItems).where(eq(scheduleItems.deploymentId, tenant.deployment)))[0]
    ).buildId
    const [later] = await owner
      .insert(scheduleItems)
      .values({
        subscriptionId: tenant.subscription,
        deploymentId: tenant.deployment,
        version: 1,
        buildId: build,
        startsAt: new Date(Date.now() - 1000),
        createdBy: tenant.user
      })
      .returning()
    await settle()
    const operation = await lastOperation(tenant)
    const [item] = await owner
      .select()
      .from(scheduleItems)
      .where(eq(scheduleItems.id, must(later).id))
    assert.equal(must(item).operationId, operation.id)
    await sealer.pass()
    await settle()
    assert.equal((await lastOperation(tenant)).state, 'live')
    assert.ok(must(await desired()).current)

    await owner
      .update(scheduleItems)
      .set({ endsAt: new Date() })
      .where(eq(scheduleItems.id, must(later).id))
    await settle()

    assert.equal(await desired(), undefined)
    assert.equal((await findDeployment(tenant)).liveReleaseId, null)
  })
})

describe('a writer', () => {
  it('gives a fleet without sites a head too, so that its first server can become ready', async () => {
    const fleet = await putFleet(cell)

    await makeTestWriter().pass()

    const { head, deployments: shown } = await readDesired(objects, fleet)
    assert.deepEqual([head.generation, shown], [1, []])
    const [row] = await owner.select().from(fleets).where(eq(fleets.id, fleet))
    assert.equal(must(row).generation, 1)
  })

  it('writes no head when nothing that is rendered changed', async () => {
    const { fleet, writer, deploy, settle } = await stage()
    await deploy('one')
    await settle()
    const { head } = await readDesired(objects, fleet)

    await writer.pass()
    await makeTestWriter().pass()

    assert.deepEqual((await readDesired(objects, fleet)).head, head)
  })

  it('says once that the store is away, and catches up when it is back', async () => {
    const fleet = await putFleet(cell)
    const said: string[] = []
    let away = true
    const flaky = {
      ...objects,
      put: async (...args: Parameters<typeof objects.put>) => {
        if (away) throw new ObjectsError('unavailable', 'the store is away')
        return objects.put(...args)
      }
    }
    const writer = makeTestWriter({ objects: flaky, log: ({ message }) => said.push(message) })
    for (let pass = 0; pass < 3; pass++) await writer.pass()
    assert.equal(said.filter((message) => message.includes(`head of fleet ${fleet}`)).length, 1)

    away = false
    await writer.pass()

    assert.equal((await readDesired(objects, fleet)).head.generation, 1)
  })
})

describe('a writer whose database goes away', () => {
  it('says so, and carries on with what was asked meanwhile when it is back', async () => {
    const { tenant, deploy, settle, desired, request } = await stage()
    await deploy('one')
    await settle()
    await deploy('two')
    await settle()
    const { warm } = must(await desired())
    const said: string[] = []
    let away = false
    // Every statement of a writer without a database fails as the driver fails it.
    const cutDb = new Proxy(db, {
      get: (target, name) => {
        if (away) throw new Error('the connection was refused')
        return Reflect.get(target, name)
      }
    })
    const stop = new AbortController()
    const running = makeTestWriter({ db: cutDb, log: ({ message }) => said.push(message) }).run(stop.signal)
    try {
      away = true
      await eventually(() => said.includes('pass failed and will be tried again: the connection was refused'))
      await request('rollback', must(warm).id)
      away = false
      await eventually(async () => must(await desired()).current?.id === must(warm).id)
      await eventually(() => said.includes('pass works again'))
    } finally {
      stop.abort()
      await running
    }
    assert.equal((await lastOperation(tenant)).state, 'switching')
  })
})
