import assert from 'node:assert/strict'
import { it } from 'node:test'
import { testApi } from '../testing/api.ts'

const { ours } = await testApi()

it('gives a subscription the account `main`, and further ones by name', async () => {
  const first = await ours.send('GET', `${ours.below}/accounts`)
  assert.deepEqual(
    first.body.items.map(({ name }: { name: string }) => name),
    ['main']
  )

  const made = await ours.send('POST', `${ours.below}/accounts`, { name: 'staging area' })

  assert.equal(made.status, 201)
  assert.deepEqual((await ours.send('GET', `${ours.below}/accounts/${made.body.id}`)).body, made.body)
})

it('refuses a name that is taken', async () => {
  const again = await ours.send('POST', `${ours.below}/accounts`, { name: 'main' })

  assert.equal(again.status, 409)
  assert.equal(again.body.code, 'name_taken')
  assert.equal(again.body.field, '/name')
})

for (const [what, body, field] of [
  ['no name', {}, '/name'],
  ['an empty name', { name: '' }, '/name'],
  ['a name with blanks around it', { name: ' a' }, '/name'],
  ['an unknown field', { name: 'a', colour: 'red' }, '/colour'],
  ['no object', [], '/']
] as const)
  it(`names the field that is wrong: ${what}`, async () => {
    const refused = await ours.send('POST', `${ours.below}/accounts`, body)

    assert.equal(refused.status, 400)
    assert.equal(refused.body.code, 'invalid')
    assert.equal(refused.body.field, field)
  })
