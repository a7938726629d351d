import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eq } from 'drizzle-orm'
import { testApi } from '../testing/api.ts'
import { putFleet, putReport } from '../testing/scene.ts'
import { fleets } from './schema.ts'

const { ours, owner, operator } = await testApi()

it('shows operators each fleet with its servers as the cloud and they themselves tell', async () => {
  await putFleet(owner, 'f-1', ['s-1', 's-2'])
  await putReport(owner, 'f-1', 's-1', [])

  const { body } = await operator('GET', '/v1/fleets/f-1')

  assert.deepEqual(
    [body.id, body.name, body.tenancy, body.region, body.status, body.servers],
    ['f-1', 'f-1', 'public', 'local', 'active', 2]
  )
  assert.deepEqual(
    body.members.map(({ reportedAt, ...member }: Record<string, unknown>) => ({ ...member, reported: reportedAt !== undefined })),
    [
      { server: 's-1', zone: 'local-a', state: 'healthy', ready: true, generation: 7, reported: true },
      { server: 's-2', zone: 'local-b', state: 'healthy', reported: false }
    ]
  )
  assert.deepEqual((await operator('GET', '/v1/fleets')).body, { items: [body] })
  assert.equal((await operator('GET', '/v1/fleets/f-2')).status, 404)
})

it('lets operators alone say that a head is lost for good, and shows that until there is another', async () => {
  await putFleet(owner, 'f-9', ['s-1'])

  const said = await operator('POST', '/v1/fleets/f-9/head-lost')

  assert.deepEqual([said.status, said.body.headLost], [200, true])
  assert.equal((await operator('GET', '/v1/fleets/f-9')).body.headLost, true)
  assert.equal((await ours.send('POST', '/v1/fleets/f-9/head-lost')).status, 403)
  assert.equal((await operator('POST', '/v1/fleets/f-8/head-lost')).status, 404)
})

it('takes the word that a head is lost for the generation that was recorded then, never for a later one', async () => {
  await putFleet(owner, 'f-10', ['s-1'])
  await owner.update(fleets).set({ generation: 4 }).where(eq(fleets.id, 'f-10'))
  await operator('POST', '/v1/fleets/f-10/head-lost')

  await owner.update(fleets).set({ generation: 5 }).where(eq(fleets.id, 'f-10'))

  assert.equal((await operator('GET', '/v1/fleets/f-10')).body.headLost, false)
})
