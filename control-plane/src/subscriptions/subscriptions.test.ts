import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eq } from 'drizzle-orm'
import { testApi } from '../testing/api.ts'
import { subscriptions } from './schema.ts'

const { owner, operator, ours, theirs } = await testApi()

it('is made by an operator for a user, who then owns it and has an account in it', async () => {
  const made = await operator('POST', '/v1/subscriptions', { name: 'second', ownerEmail: 'OURS@example.com' })

  assert.equal(made.status, 201)
  assert.equal(made.body.primaryContact, ours.user)
  const below = `/v1/subscriptions/${made.body.id}`
  assert.deepEqual((await ours.send('GET', below)).body, made.body)
  assert.equal((await ours.send('GET', `${below}/accounts`)).body.items[0].name, 'main')
  assert.equal((await theirs.send('GET', below)).status, 404)
})

it('leaves its keys to the sealer, the only one that may write them', async () => {
  const [row] = await owner.select().from(subscriptions).where(eq(subscriptions.id, ours.subscription))

  assert.equal(row?.keysMadeAt, null)
})

it('is made by nobody else, and for nobody who does not exist', async () => {
  const byOwner = await ours.send('POST', '/v1/subscriptions', { name: 'x', ownerEmail: 'ours@example.com' })
  const forNobody = await operator('POST', '/v1/subscriptions', { name: 'x', ownerEmail: 'nobody@example.com' })

  assert.equal(byOwner.status, 403)
  assert.equal(forNobody.status, 400)
  assert.equal(forNobody.body.field, '/ownerEmail')
  assert.equal((await owner.select().from(subscriptions).where(eq(subscriptions.name, 'x'))).length, 0)
})

it('lists one’s own to a user, and all to an operator', async () => {
  const names = async (send: typeof operator) =>
    (await send('GET', '/v1/subscriptions')).body.items.map(({ name }: { name: string }) => name)

  assert.deepEqual(await names(theirs.send), ['theirs'])
  assert.deepEqual((await names(operator)).toSorted(), ['ours', 'second', 'theirs'])
})
