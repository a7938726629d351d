import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { ObservedDeployment } from '@berth/shared/observed'
import { testApi } from '../testing/api.ts'
import { putBuild, putDeployment, putVersion } from '../testing/scene.ts'
import { progressOf } from './progress.ts'

const { owner, ours } = await testApi()
await putBuild(owner, 'static', '1.0.0')

it('is listed newest first, for one deployment or for all', async () => {
  const [one, two] = [await putDeployment(ours, 'one'), await putDeployment(ours, 'two')]
  const started: string[] = []
  for (const { application, path } of [one, two, one]) {
    await putVersion(owner, ours, application, { number: started.length + 1 })
    started.push((await ours.send('POST', `${path}/schedule-items`, { version: started.length + 1 })).body.operation)
  }
  const list = async (query: string) =>
    (await ours.send('GET', `${ours.below}/operations${query}`)).body.items.map(({ id }: { id: string }) => id)

  assert.deepEqual(await list(''), started.toReversed())
  assert.deepEqual(await list(`?deployment=${one.deployment}`), [started[2], started[0]])
  assert.equal((await ours.send('GET', `${ours.below}/operations?deployment=${crypto.randomUUID()}`)).body.field, '/deployment')
  assert.equal((await ours.send('GET', `${ours.below}/operations?deployment=x`)).body.field, '/deployment')

  const { body } = await ours.send('GET', `${ours.below}/operations/${started[0]}`)
  assert.deepEqual([body.state, body.version, body.deployment], ['superseded', 1, one.deployment])
  assert.deepEqual(body.progress, { ready: 0, routed: 0, of: 0 })
  assert.deepEqual(
    body.steps.map(({ state }: { state: string }) => state),
    ['queued', 'superseded']
  )
  assert.ok(body.finishedAt)
})

it('counts the servers that have a release ready, and those that send requests to it', () => {
  const [digest, other] = ['a'.repeat(64), 'b'.repeat(64)]
  const says = (routed: string | null, ...states: ('ready' | 'frozen' | 'preparing')[]) => ({
    observed: {
      deployment: '',
      operation: null,
      attempt: 0,
      routed,
      pools: states.map((state) => ({ release: digest, state, restarts: 0 }))
    } satisfies ObservedDeployment
  })
  const servers = [says(digest), says(other, 'ready'), says(other, 'preparing'), says(other, 'frozen'), { observed: null }]

  assert.deepEqual(progressOf(digest, servers), { ready: 3, routed: 1, of: 5 })
  assert.deepEqual(progressOf(null, [...servers, says(null)]), { ready: 2, routed: 2, of: 6 })
})
