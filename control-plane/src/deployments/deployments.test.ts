import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultPool, defaultProbe } from '@berth/shared/fields'
import { eq } from 'drizzle-orm'
import { fleets } from '../fleets/schema.ts'
import { operations } from '../operations/schema.ts'
import { releases } from '../releases/schema.ts'
import { sites } from '../sites/schema.ts'
import { testApi } from '../testing/api.ts'
import { putBuild, putDeployment, putFleet, putReport, putVersion } from '../testing/scene.ts'
import { namesFor } from './rules.ts'
import { deployments } from './schema.ts'

const { owner, ours, theirs } = await testApi()
await putBuild(owner, 'static', '1.0.0')
const path = `${ours.below}/deployments`

describe('making a deployment', () => {
  it('needs nothing but an application, a site and a path', async () => {
    const { application, site, deployment } = await putDeployment(ours, 'shop')

    const { body } = await ours.send('GET', `${path}/${deployment}`)

    assert.equal(body.name, 'shop')
    assert.equal(body.application, application)
    assert.equal(body.site, site)
    assert.equal(body.status, 'active')
    assert.deepEqual([body.settings, body.probe, body.pool], [{}, defaultProbe, defaultPool])
    assert.deepEqual([body.keepWarm, body.bakeSeconds], ['frozen', 60])
    assert.deepEqual(body.addresses, ['http://shop.localhost:8080/'])
    assert.deepEqual((await ours.send('GET', path)).body.items, [body])
  })

  it('refuses a path that is taken, and one below a site without a root', async () => {
    const { application, site } = await putDeployment(ours, 'taken')
    const bare = (await ours.send('POST', `${ours.below}/sites`, { name: 'bare' })).body.id

    const taken = await ours.send('POST', path, { application, site, path: '/' })
    const rootless = await ours.send('POST', path, { application, site: bare, path: '/a' })

    assert.equal(taken.status, 409)
    assert.deepEqual([taken.body.code, taken.body.field], ['path_taken', '/path'])
    assert.deepEqual([rootless.body.code, rootless.body.field], ['no_root_deployment', '/path'])
  })

  it('lets one of two win a race for a path', async () => {
    const { application, site } = await putDeployment(ours, 'raced')

    const both = await Promise.all(
      [1, 2].map((n) => ours.send('POST', path, { application, site, path: '/x', name: `racer ${n}` }))
    )

    assert.deepEqual(both.map(({ status }) => status).toSorted(), [201, 409])
  })

  it('runs one application any number of times, each under a name of its own', async () => {
    const { application, site } = await putDeployment(ours, 'many')
    const second = await ours.send('POST', path, { application, site, path: '/test' })
    const elsewhere = (await ours.send('POST', `${ours.below}/sites`, { name: 'elsewhere' })).body.id
    const third = await ours.send('POST', path, { application, site: elsewhere, path: '/' })
    const taken = await ours.send('POST', path, { application, site, path: '/more', name: 'many' })

    assert.equal(second.body.name, 'many /test')
    assert.equal(third.body.name, 'many on elsewhere')
    assert.equal(taken.body.code, 'name_taken')
    assert.ok(namesFor('a'.repeat(100), 'b'.repeat(100), '/c').every((name) => name.length <= 100))
  })

  it('names the field that cannot be', async () => {
    const { application, site } = await putDeployment(ours, 'fields')
    for (const [wrong, field] of [
      [{ path: 'a' }, '/path'],
      [{ path: '/a/' }, '/path'],
      [{ path: '/../a' }, '/path'],
      [{ path: '/a/.' }, '/path'],
      [{ path: '/.berth/x' }, '/path'],
      [{ settings: { 'a-b': 'x' } }, '/settings/a-b'],
      [{ settings: { port: '1' } }, '/settings/port'],
      [{ settings: { A: 1 } }, '/settings/A'],
      [{ probe: { path: '/.berth/ready' } }, '/probe/path'],
      [{ probe: { status: 99 } }, '/probe/status'],
      [{ pool: { processes: 0 } }, '/pool/processes'],
      [{ keepWarm: 'sometimes' }, '/keepWarm'],
      [{ bakeSeconds: -1 }, '/bakeSeconds'],
      [{ colour: 'red' }, '/colour']
    ] as const) {
      const refused = await ours.send('POST', path, { application, site, path: '/f', ...wrong })
      assert.equal(refused.status, 400, JSON.stringify(wrong))
      assert.equal(refused.body.field, field)
    }
  })
})

describe('changing a deployment', () => {
  it('changes just what is named', async () => {
    const { deployment } = await putDeployment(ours, 'changed')

    const { body } = await ours.send('PATCH', `${path}/${deployment}`, {
      probe: { path: '/health' },
      settings: { COLOUR: 'red' },
      keepWarm: 'off'
    })

    assert.deepEqual(body.probe, { ...defaultProbe, path: '/health' })
    assert.deepEqual([body.settings, body.keepWarm, body.bakeSeconds], [{ COLOUR: 'red' }, 'off', 60])
    assert.equal(body.operation, undefined)
    assert.equal((await ours.send('PATCH', `${path}/${deployment}`, {})).status, 400)
  })

  it('disables and enables by an operation each, and does nothing when it is so already', async () => {
    const { application, deployment } = await putDeployment(ours, 'switched')
    await putVersion(owner, ours, application, { number: 1 })
    const item = (await ours.send('POST', `${path}/${deployment}/schedule-items`, { version: 1 })).body

    const disabled = (await ours.send('PATCH', `${path}/${deployment}`, { status: 'disabled' })).body
    const again = (await ours.send('PATCH', `${path}/${deployment}`, { status: 'disabled' })).body
    const refused = await ours.send('POST', `${path}/${deployment}/schedule-items`, { version: 1 })
    const enabled = (await ours.send('PATCH', `${path}/${deployment}`, { status: 'active' })).body

    const rows = await owner.select().from(operations).where(eq(operations.deploymentId, deployment))
    const stateOf = (id: string) => rows.find((row) => row.id === id)
    assert.equal(stateOf(item.operation)?.state, 'superseded')
    assert.equal(stateOf(disabled.operation)?.kind, 'disable')
    assert.equal(stateOf(disabled.operation)?.state, 'superseded')
    assert.equal(again.operation, undefined)
    assert.equal(refused.body.code, 'disabled')
    assert.deepEqual([stateOf(enabled.operation)?.kind, stateOf(enabled.operation)?.state], ['enable', 'queued'])
    assert.equal(rows.length, 3)
  })

  it('raises the revision of the fleet that shows it', async () => {
    const { site, deployment } = await putDeployment(ours, 'placed')
    await putFleet(owner, 'f-placed', ['s-1'])
    await owner.update(sites).set({ fleetId: 'f-placed' }).where(eq(sites.id, site))
    const revision = async () => (await owner.select().from(fleets).where(eq(fleets.id, 'f-placed')))[0]?.revision ?? 0
    const before = await revision()

    await ours.send('PATCH', `${path}/${deployment}`, { status: 'disabled' })

    assert.ok((await revision()) > before)
  })
})

describe('the status of a deployment', () => {
  it('shows requested and actual state for each server', async () => {
    const { application, site, deployment } = await putDeployment(ours, 'watched')
    await putVersion(owner, ours, application, { number: 1 })
    await putVersion(owner, ours, application, { number: 2 })
    await putFleet(owner, 'f-watched', ['s-1', 's-2', 's-3', 's-4'])
    await owner.update(sites).set({ fleetId: 'f-watched' }).where(eq(sites.id, site))
    const [one, two] = ['1'.repeat(64), '2'.repeat(64)]
    const first = (await ours.send('POST', `${path}/${deployment}/schedule-items`, { version: 1 })).body
    await owner
      .update(releases)
      .set({ status: 'packaged', digest: one, wasLive: true })
      .where(eq(releases.deploymentId, deployment))
    const [live] = await owner.select().from(releases).where(eq(releases.deploymentId, deployment))
    await owner.update(operations).set({ state: 'live' }).where(eq(operations.id, first.operation))
    await owner
      .update(deployments)
      .set({ liveReleaseId: live?.id ?? null })
      .where(eq(deployments.id, deployment))
    const second = (await ours.send('POST', `${path}/${deployment}/schedule-items`, { version: 2 })).body
    await owner.update(releases).set({ status: 'packaged', digest: two }).where(eq(releases.version, 2))
    const observed = { deployment, operation: second.operation, attempt: 0 }
    const pool = (release: string, state: 'ready' | 'preparing' | 'failed') => ({ release, state, restarts: 0 })
    await putReport(owner, 'f-watched', 's-1', [{ ...observed, routed: two, pools: [pool(two, 'ready')] }])
    await putReport(owner, 'f-watched', 's-2', [
      { ...observed, routed: one, pools: [pool(one, 'ready'), pool(two, 'preparing')] }
    ])
    const reason = { code: 'probe_failed', message: 'it answered 500' }
    await putReport(owner, 'f-watched', 's-3', [{ ...observed, routed: one, pools: [{ ...pool(two, 'failed'), reason }] }])

    const { body } = await ours.send('GET', `${path}/${deployment}/status`)

    assert.deepEqual([body.live.version, body.requested.version], [1, 2])
    assert.equal(body.operation.id, second.operation)
    assert.deepEqual(body.operation.progress, { ready: 1, routed: 1, of: 4 })
    const rows = body.servers.map(({ server, state, version, reason: why }: Record<string, unknown>) => ({
      server,
      state,
      version,
      why
    }))
    assert.deepEqual(rows, [
      { server: 's-1', state: 'running', version: 2, why: undefined },
      { server: 's-2', state: 'installing', version: 1, why: undefined },
      { server: 's-3', state: 'failed', version: 1, why: reason },
      { server: 's-4', state: 'pending', version: undefined, why: undefined }
    ])
    assert.ok(body.servers[0].reportedAt)
    assert.equal((await theirs.send('GET', `${path}/${deployment}/status`)).status, 404)
  })

  it('has no servers before the site has a fleet', async () => {
    const { deployment } = await putDeployment(ours, 'unplaced')

    const { body } = await ours.send('GET', `${path}/${deployment}/status`)

    assert.deepEqual(Object.keys(body).toSorted(), ['deployment', 'servers'])
    assert.deepEqual(body.servers, [])
  })
})
