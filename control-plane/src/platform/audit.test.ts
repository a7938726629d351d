import assert from 'node:assert/strict'
import { it } from 'node:test'
import { asc, gt } from 'drizzle-orm'
import { type Answer, testApi } from '../testing/api.ts'
import { putBuild, putDeployment, putFleet, putVersion } from '../testing/scene.ts'
import { rules } from './access.ts'
import { recordAudit } from './audit.ts'
import { inSubscription } from './database.ts'
import { auditEntries } from './schema.ts'

const { db, owner, ours, theirs, operator, stranger } = await testApi()

await putBuild(owner, 'static', '1.0.0')
const fleet = '33333333-3333-4333-8333-333333333333'
await putFleet(owner, fleet, [])
const scene = await putDeployment(ours, 'shop')
await putVersion(owner, ours, scene.application, { number: 1 })
const opened = await ours.send('POST', `${ours.below}/applications/${scene.application}/uploads`, { files: 1, bytes: 1 })
const upload = `${ours.below}/uploads/${opened.body.id}`

let seen = 0
/** The entries that `act` left. */
const entriesOf = async (act: () => Promise<Answer>) => {
  seen = (await owner.select().from(auditEntries).orderBy(asc(auditEntries.id))).at(-1)?.id ?? 0
  const answer = await act()
  return { answer, entries: await owner.select().from(auditEntries).where(gt(auditEntries.id, seen)) }
}

const digest = 'a'.repeat(64)
/** A request for each mutation that succeeds once, in this order; and one that is refused. */
const mutations: Record<string, { good?: () => Promise<Answer>; bad: () => Promise<Answer> }> = {
  'POST /v1/sign-in': { bad: () => stranger('POST', '/v1/sign-in', { email: 'a@example.com', password: 'x' }) },
  'POST /v1/builds': { bad: () => ours.send('POST', '/v1/builds', { name: 'a', version: '1.0.0', platform: 'linux-x64' }) },
  'POST /v1/fleets/:fleet/head-lost': {
    good: () => operator('POST', `/v1/fleets/${fleet}/head-lost`),
    bad: () => operator('POST', '/v1/fleets/f-0/head-lost')
  },
  'POST /v1/subscriptions': {
    good: () => operator('POST', '/v1/subscriptions', { name: 'new', ownerEmail: 'ours@example.com' }),
    bad: () => operator('POST', '/v1/subscriptions', { name: 'new', ownerEmail: 'nobody@example.com' })
  },
  'POST /v1/subscriptions/:subscription/accounts': {
    good: () => ours.send('POST', `${ours.below}/accounts`, { name: 'a' }),
    bad: () => ours.send('POST', `${ours.below}/accounts`, { name: 'a' })
  },
  'POST /v1/subscriptions/:subscription/applications': {
    good: () => ours.send('POST', `${ours.below}/applications`, { name: 'a' }),
    bad: () => ours.send('POST', `${ours.below}/applications`, { name: '' })
  },
  'POST /v1/subscriptions/:subscription/applications/:id/uploads': {
    good: () => ours.send('POST', `${ours.below}/applications/${scene.application}/uploads`, { files: 1, bytes: 1 }),
    bad: () => ours.send('POST', `${ours.below}/applications/${scene.application}/uploads`, { files: 9e9, bytes: 1 })
  },
  'POST /v1/subscriptions/:subscription/uploads/:id/packs': {
    good: () => ours.send('POST', `${upload}/packs`, { packs: [] }),
    bad: () => ours.send('POST', `${upload}/packs`, { packs: [{ pack: digest.slice(32), size: 1e9, sha256: digest }] })
  },
  'POST /v1/subscriptions/:subscription/uploads/:id/finish': {
    good: () => ours.send('POST', `${upload}/finish`, { manifest: digest, packs: [] }),
    bad: () => ours.send('POST', `${upload}/finish`, { manifest: 'b'.repeat(64), packs: [] })
  },
  'POST /v1/subscriptions/:subscription/sites': {
    good: () => ours.send('POST', `${ours.below}/sites`, { name: 'a' }),
    bad: () => ours.send('POST', `${ours.below}/sites`, { name: 'b', hostName: '-.com' })
  },
  'POST /v1/subscriptions/:subscription/deployments': {
    good: () => ours.send('POST', `${ours.below}/deployments`, { ...scene, deployment: undefined, path: '/a' }),
    bad: () => ours.send('POST', `${ours.below}/deployments`, { ...scene, deployment: undefined, path: '/a' })
  },
  'PATCH /v1/subscriptions/:subscription/deployments/:id': {
    good: () => ours.send('PATCH', scene.path, { bakeSeconds: 5 }),
    bad: () => ours.send('PATCH', scene.path, { settings: { PORT: '80' } })
  },
  'POST /v1/subscriptions/:subscription/deployments/:id/schedule-items': {
    good: () => ours.send('POST', `${scene.path}/schedule-items`, { version: 1 }),
    bad: () => ours.send('POST', `${scene.path}/schedule-items`, { version: 2 })
  },
  'POST /v1/subscriptions/:subscription/deployments/:id/rollback': {
    bad: () => ours.send('POST', `${scene.path}/rollback`, {})
  },
  'DELETE /v1/session': {
    good: () => theirs.send('DELETE', '/v1/session'),
    bad: () => theirs.send('DELETE', '/v1/session')
  }
}

it('is tried here with every mutation that there is', () => {
  const all = Object.keys(rules).filter((key) => !key.startsWith('GET '))
  assert.deepEqual(Object.keys(mutations).toSorted(), all.toSorted())
})

for (const [key, { good, bad }] of Object.entries(mutations)) {
  const action = rules[key]?.action
  const inSubscription = key.includes('/:subscription/')

  if (good)
    it(`${key}: a change leaves one entry, in its subscription’s log; another one in the operators’ where they made it`, async () => {
      const { answer, entries } = await entriesOf(good)

      assert.ok(answer.status < 300, answer.response.body)
      const [entry, ...others] = entries
      if (action === 'subscriptions.create') {
        assert.equal(entry?.subscriptionId, answer.body.id)
        assert.deepEqual(others, [{ ...entry, id: others[0]?.id, subscriptionId: null }])
      } else assert.deepEqual(others, [])
      assert.equal(entry?.action, action)
      assert.equal(entry?.outcome, 'done')
      assert.equal(entry?.actorKind, 'user')
      assert.match(entry?.object ?? '', /^[a-z-]+\/[0-9a-f-]{36}$/)
      assert.equal(entry?.requestId, answer.response.headers['x-request-id'])
      assert.equal(entry?.source, '127.0.0.1')
      if (inSubscription) assert.equal(entry?.subscriptionId, ours.subscription)
    })

  it(`${key}: a refusal leaves one entry, that says why`, async () => {
    const { answer, entries } = await entriesOf(bad)

    assert.ok(answer.status >= 400)
    assert.equal(entries.length, 1)
    const [entry] = entries
    assert.equal(entry?.action, action)
    assert.equal(entry?.outcome, 'refused')
    assert.equal(entry?.detail.code, answer.body.code)
    assert.equal(entry?.subscriptionId, inSubscription ? ours.subscription : null)
  })
}

it('keeps strangers out of a subscription’s log: their attempts are entries of the operators’', async () => {
  const { answer, entries } = await entriesOf(() => operator('POST', `${ours.below}/accounts`, { name: 'x' }))

  assert.equal(answer.status, 404)
  assert.deepEqual(
    entries.map(({ subscriptionId, outcome, actorKind }) => ({ subscriptionId, outcome, actorKind })),
    [{ subscriptionId: null, outcome: 'refused', actorKind: 'user' }]
  )
})

it('records a look into a foreign subscription, and no look at one’s own', async () => {
  const foreign = await entriesOf(() => operator('GET', `${ours.below}/deployments`))
  const own = await entriesOf(() => ours.send('GET', `${ours.below}/deployments`))
  const missing = await entriesOf(() => ours.send('GET', `${ours.below}/deployments/${crypto.randomUUID()}`))

  assert.equal(foreign.entries.length, 1)
  assert.equal(own.entries.length, 0)
  assert.equal(missing.entries.length, 0)
})

it('does not let people without a token fill the log: one entry a minute for each source and kind', async () => {
  const first = await entriesOf(() => stranger('POST', `${ours.below}/sites`, {}))
  const second = await entriesOf(() => stranger('POST', `${ours.below}/sites`, {}))

  assert.equal(first.entries.length + second.entries.length, 1)
})

it('does not let signed-in people fill the operators’ log with looks into foreign subscriptions', async () => {
  const look = () => ours.send('GET', `${theirs.below}/sites`)
  const entries = [await entriesOf(look), await entriesOf(look), await entriesOf(look)].flatMap((one) => one.entries)
  const others = await entriesOf(() => operator('GET', `${theirs.below}/sites`))

  assert.equal(entries.length, 1)
  assert.equal(entries[0]?.actor, ours.user)
  assert.equal(others.entries.length, 1, 'each person is counted for themselves')
})

it('records a token that is none, on reads too, and no read without one', async () => {
  const forged = { authorization: `Bearer berth_${'0'.repeat(32)}_${'0'.repeat(64)}` }
  const read = await entriesOf(() => stranger('GET', '/v1/me', undefined, forged))
  const again = await entriesOf(() => stranger('GET', '/v1/me', undefined, forged))
  const without = await entriesOf(() => stranger('GET', '/v1/builds'))

  assert.deepEqual([read.answer.status, read.answer.body.code], [401, 'unauthenticated'])
  assert.deepEqual(
    read.entries.map(({ subscriptionId, actorKind, action, outcome }) => ({ subscriptionId, actorKind, action, outcome })),
    [{ subscriptionId: null, actorKind: 'stranger', action: 'me.read', outcome: 'refused' }]
  )
  assert.equal(again.entries.length + without.entries.length, 0)
})

it('holds and answers of a field’s name no more than its beginning', async () => {
  for (const name of ['x'.repeat(500_000), '🙂'.repeat(100_000), `\0${'x'.repeat(500_000)}`]) {
    for (const body of [
      { name: 'a', [name]: 1 },
      { name: 'a', [name.replace('\0', '')]: '\0' }
    ]) {
      const { answer, entries } = await entriesOf(() => ours.send('POST', `${ours.below}/accounts`, body))

      assert.equal(answer.status, 400)
      assert.ok(answer.response.body.length < 2000)
      assert.equal(entries.length, 1)
      assert.equal(entries[0]?.detail.field, answer.body.field)
    }
  }
})

it('holds small fields whole, and of what is too large the names', async () => {
  const entry = { subscription: ours.subscription, actor: { kind: 'stranger' }, action: 'test', outcome: 'done' } as const
  const { entries } = await entriesOf(async () => {
    await inSubscription(db, ours.subscription, async (tx) => {
      await recordAudit(tx, { ...entry, detail: { version: 1, settings: 'x'.repeat(60_000) } })
      await recordAudit(tx, { ...entry, detail: { version: 1, settings: 'x'.repeat(70_000) } })
    })
    return ours.send('GET', '/v1/me')
  })

  assert.deepEqual(
    entries.map(({ detail }) => detail),
    [
      { version: 1, settings: 'x'.repeat(60_000) },
      { version: 1, leftOut: ['settings'] }
    ]
  )
})

it('holds no password, token or key', async () => {
  await stranger('POST', '/v1/sign-in', { email: 'ours@example.com', password: 'hunter2-hunter2' })
  const all = JSON.stringify(await owner.select().from(auditEntries))

  assert.ok(!all.includes('hunter2'))
  assert.ok(!all.includes(opened.body.key))
  assert.ok(!all.includes('berth_'))
})
