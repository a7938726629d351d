import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eventually } from '@berth/shared/testing/eventually'
import { sql } from 'drizzle-orm'
import { accounts } from '../accounts/schema.ts'
import { testApi } from '../testing/api.ts'
import { inSubscription, inTransaction, type Tx } from './database.ts'
import { idempotencyKeys } from './schema.ts'

const { db, owner, operator, ours, theirs } = await testApi()
const path = `${ours.below}/accounts`
const key = () => ({ 'idempotency-key': crypto.randomUUID() })
const named = (name: string) => owner.select().from(accounts).where(sql`name = ${name}`)

it('answers the same request with the same key as before, and changes nothing again', async () => {
  const headers = key()
  const first = await ours.send('POST', path, { name: 'once' }, headers)

  const again = await ours.send('POST', path, { name: 'once' }, headers)

  assert.equal(first.status, 201)
  assert.equal(again.status, 201)
  assert.equal(again.response.body, first.response.body)
  assert.equal((await named('once')).length, 1)
})

it('refuses another request with a key that was used, and changes nothing', async () => {
  const headers = key()
  await ours.send('POST', path, { name: 'first' }, headers)

  for (const [url, body] of [
    [path, { name: 'second' }],
    [`${ours.below}/sites`, { name: 'first' }]
  ] as const) {
    const other = await ours.send('POST', url, body, headers)

    assert.equal(other.status, 409)
    assert.equal(other.body.code, 'idempotency_key_reused')
  }
  assert.equal((await named('second')).length, 0)
})

it('keeps the keys of different people apart', async () => {
  const headers = key()
  await ours.send('POST', path, { name: 'mine' }, headers)

  const other = await theirs.send('POST', `${theirs.below}/accounts`, { name: 'mine' }, headers)

  assert.equal(other.status, 201)
  assert.equal((await named('mine')).length, 2)
})

it('tries a refused request anew: nothing was changed, so nothing is kept', async () => {
  const headers = key()
  const refused = await ours.send('POST', path, { name: 'main' }, headers)
  await owner.update(accounts).set({ name: 'renamed' }).where(sql`name = 'main' and subscription_id = ${ours.subscription}`)

  const again = await ours.send('POST', path, { name: 'main' }, headers)

  assert.equal(refused.status, 409)
  assert.equal(again.status, 201)
})

it('carries one of two equal requests at once out, and tells the other that it is under way', async () => {
  const headers = key()
  // The row that this name would violate is locked by a transaction of ours, so that the first request must wait inside its own.
  const answers = await owner.transaction(async (tx) => {
    await tx.execute(sql`insert into accounts (subscription_id, name) values (${ours.subscription}, 'raced')`)
    const first = ours.send('POST', path, { name: 'raced' }, headers)
    await eventually(async () => {
      const { rows } = await tx.execute(sql`select 1 from pg_locks where locktype = 'advisory' and granted`)
      return rows.length > 0
    })
    const second = await ours.send('POST', path, { name: 'raced' }, headers)
    await tx.execute(sql`delete from accounts where name = 'raced'`)
    return { first, second }
  })
  const first = await answers.first

  assert.equal(first.status, 201)
  assert.equal(answers.second.status, 409)
  assert.equal(answers.second.body.code, 'in_progress')
  assert.equal((await named('raced')).length, 1)
})

it('makes one thing of many equal requests at once', async () => {
  const headers = key()

  const all = await Promise.all(
    Array.from({ length: 8 }, () => ours.send('POST', `${ours.below}/sites`, { name: 'herd' }, headers))
  )
  const last = await ours.send('POST', `${ours.below}/sites`, { name: 'herd' }, headers)

  const good = all.filter(({ status }) => status === 201)
  assert.ok(good.length >= 1)
  assert.ok(good.every(({ response }) => response.body === last.response.body))
  assert.ok(all.every(({ status, body }) => status === 201 || body.code === 'in_progress'))
})

it('hands an upload’s key out once: a replay is refused, and no key is kept', async () => {
  const headers = key()
  const application = (await ours.send('POST', `${ours.below}/applications`, { name: 'shop' })).body.id
  const uploads = `${ours.below}/applications/${application}/uploads`
  const first = await ours.send('POST', uploads, { files: 1, bytes: 1 }, headers)

  const again = await ours.send('POST', uploads, { files: 1, bytes: 1 }, headers)

  assert.equal(first.status, 201)
  assert.equal(Buffer.from(first.body.key, 'base64').length, 32)
  assert.equal(again.status, 409)
  assert.equal(again.body.code, 'upload_key_already_handed_out')
  const kept = await owner.select().from(idempotencyKeys)
  assert.ok(!JSON.stringify(kept).includes(first.body.key))
})

it('refuses a key that is no UUID', async () => {
  const refused = await ours.send('POST', path, { name: 'never' }, { 'idempotency-key': 'again' })

  assert.equal(refused.status, 400)
  assert.equal(refused.body.field, '/headers/idempotency-key')
})

it('keeps the answers of a subscription from whoever is not in it', async () => {
  const headers = key()
  await ours.send('POST', path, { name: 'private' }, headers)
  const seen = (tx: Tx) => tx.select().from(idempotencyKeys).where(sql`key = ${headers['idempotency-key']}`)

  assert.equal((await inSubscription(db, ours.subscription, seen)).length, 1)
  assert.equal((await inSubscription(db, theirs.subscription, seen)).length, 0)
  assert.equal((await inTransaction(db, seen)).length, 0)
})

it('takes the same key in two subscriptions for two requests', async () => {
  const headers = key()
  const second = await operator('POST', '/v1/subscriptions', { name: 'second', ownerEmail: 'ours@example.com' })
  await ours.send('POST', path, { name: 'here' }, headers)

  const there = await ours.send('POST', `/v1/subscriptions/${second.body.id}/accounts`, { name: 'there' }, headers)

  assert.equal(there.status, 201)
})

it('makes one subscription of the same request with the same key', async () => {
  const headers = key()
  const body = { name: 'once only', ownerEmail: 'ours@example.com' }
  const first = await operator('POST', '/v1/subscriptions', body, headers)

  const again = await operator('POST', '/v1/subscriptions', body, headers)

  assert.equal(first.status, 201)
  assert.equal(again.response.body, first.response.body)
})

it('forgets keys after a day', async () => {
  const headers = key()
  await ours.send('POST', path, { name: 'old' }, headers)
  await owner.update(idempotencyKeys).set({ createdAt: sql`now() - interval '25 hours'` })

  await theirs.send('POST', `${theirs.below}/accounts`, { name: 'new' }, key())

  assert.equal((await owner.select().from(idempotencyKeys).where(sql`key = ${headers['idempotency-key']}`)).length, 0)
})
