import assert from 'node:assert/strict'
import { it } from 'node:test'
import { testApi } from '../testing/api.ts'
import { putVersion } from '../testing/scene.ts'

const { owner, ours } = await testApi()
const application = (await ours.send('POST', `${ours.below}/applications`, { name: 'shop' })).body.id
const path = `${ours.below}/applications/${application}/versions`

it('is listed newest first, and got by its number', async () => {
  await putVersion(owner, ours, application, { number: 1 })
  await putVersion(owner, ours, application, { number: 2, kind: 'node' })

  const { items } = (await ours.send('GET', path)).body

  assert.deepEqual(
    items.map(({ number, kind }: { number: number; kind: string }) => [number, kind]),
    [
      [2, 'node'],
      [1, 'static']
    ]
  )
  assert.deepEqual((await ours.send('GET', `${path}/2`)).body, items[0])
  assert.equal(items[0].publishedBy, ours.user)
})

it('is not found by a number that was never published, or that is none', async () => {
  for (const number of ['3', '0', '-1', '1.5', 'x', '99999999999999999999'])
    assert.equal((await ours.send('GET', `${path}/${number}`)).status, 404, number)
})
