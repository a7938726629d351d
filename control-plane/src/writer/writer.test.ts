import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { layout } from '@berth/shared/layout'
import { ObjectsError } from '@berth/shared/objects/objects'
import { eventually } from '@berth/shared/testing/eventually'
import { and, desc, eq, sql } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { fleets, observedServers, servers } from '../fleets/schema.ts'
import { operations } from '../operations/schema.ts'
import { firstStep, supersedeOpen } from '../operations/steps.ts'
import { hint, inTransaction, listen } from '../platform/database.ts'
import { auditEntries } from '../platform/schema.ts'
import type { Log } from '../platform/service-loop.ts'
import { releases } from '../releases/schema.ts'
import { scheduleItems } from '../schedules/schema.ts'
import { makeSealer } from '../sealer/sealer.ts'
import {
  must,
  publicationOf,
  putBuild,
  putFleet,
  putMember,
  putTenant,
  sendUpload,
  type Tenant,
  testCell
} from '../testing/cell.ts'
import { type Fares, faresWell, readDesired, report } from '../testing/reporting-server.ts'
import { makeWriter, type WriterDeps } from './writer.ts'

const cell = await testCell()
const { owner, objects, keys } = cell
const db = cell.dbOf('berth_writer')
const sealerDb = cell.dbOf('berth_sealer')
const noHints = async () => undefined

const makeTestWriter = (more: Partial<WriterDeps> = {}) =>
  makeWriter({ db, hints: noHints, objects, keys, clock: systemClock, log: () => undefined, ...more })
const sealer = makeSealer({
  db: sealerDb,
  hints: noHints,
  objects,
  keys,
  clock: systemClock,
  log: () => undefined,
  limits: { filesMax: 20, bytesMax: 100_000 }
})

const findDeployment = async ({ deployment }: Tenant) =>
  must((await owner.select().from(deployments).where(eq(deployments.id, deployment)))[0])
const lastOperation = async ({ deployment }: Tenant) => {
  const rows = await owner
    .select()
    .from(operations)
    .where(eq(operations.deploymentId, deployment))
    .orderBy(desc(operations.createdAt))
  return must(rows[0])
}
const releaseOf = async (id: string | null) =>
  must(
    (
      await owner
        .select()
        .from(releases)
        .where(eq(releases.id, must(id)))
    )[0]
  )

/** A fleet of two servers, a tenant on it, and everything that carries its operations on. */
const stage = async () => {
  const fleet = await putFleet(cell, ['s-1', 's-2'])
  const tenant = await putTenant(cell, { region: fleet })
  await putBuild(cell)
  const writer = makeTestWriter()
  const deploy = async (text: string) => {
    await sendUpload(cell, tenant, { ...publicationOf(tenant, { 'server.js': text }), deploy: { deployment: tenant.deployment } })
    await sealer.pass()
  }
  const servers = async (fares: Fares = faresWell) => {
    for (const server of ['s-1', 's-2']) await report(objects, fleet, server, fares)
  }
  /** Lets servers and writer take turns until nothing is open. */
  const settle = async (fares: Fares = faresWell) => {
    for (let turn = 0; turn < 6; turn++) {
      await writer.pass()
      await servers(fares)
    }
    await writer.pass()
  }
  const desired = async () =>
    (await readDesired(objects, fleet)).deployments.find(({ deployment }) => deployment === tenant.deployment)
  const request = async (kind: 'rollback' | 'disable' | 'enable', releaseId: string | null) => {
    await inTransaction(owner, async (tx) => {
      await supersedeOpen(tx, tenant.deployment)
      const { subscription: subscriptionId, deployment: deploymentId } = tenant
      await tx.insert(operations).values({ subscriptionId, deploymentId, kind, releaseId, steps: firstStep('queued') })
      await hint(tx, 'writer')
    })
  }
  return { fleet, tenant, writer, deploy, servers, settle, desired, request }
}

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
