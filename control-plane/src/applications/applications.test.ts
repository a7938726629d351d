import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eq } from 'drizzle-orm'
import { accounts } from '../accounts/schema.ts'
import { testApi } from '../testing/api.ts'

const { owner, ours } = await testApi()
const path = `${ours.below}/applications`

it('goes into the subscription’s first account when nobody says which', async () => {
  const [main] = (await ours.send('GET', `${ours.below}/accounts`)).body.items

  const made = await ours.send('POST', path, { name: 'shop' })

  assert.equal(made.status, 201)
  assert.equal(made.body.account, main.id)
  assert.equal(made.body.status, 'active')
  assert.equal(made.body.lastVersion, 0)
  assert.deepEqual((await ours.send('GET', `${path}/${made.body.id}`)).body, made.body)
  assert.deepEqual((await ours.send('GET', path)).body, { items: [made.body] })
})

it('has a name that is unique in its account, not in the subscription', async () => {
  const account = (await ours.send('POST', `${ours.below}/accounts`, { name: 'other' })).body.id

  const elsewhere = await ours.send('POST', path, { name: 'shop', account })
  const again = await ours.send('POST', path, { name: 'shop', account })

  assert.equal(elsewhere.status, 201)
  assert.equal(again.body.code, 'name_taken')
})

it('is not made in a disabled account', async () => {
  const account = (await ours.send('POST', `${ours.below}/accounts`, { name: 'closed' })).body.id
  await owner.update(accounts).set({ status: 'disabled' }).where(eq(accounts.id, account))

  const refused = await ours.send('POST', path, { name: 'late', account })

  assert.equal(refused.status, 409)
  assert.equal(refused.body.code, 'disabled')
})
