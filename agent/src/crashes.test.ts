import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { DesiredDeployment } from '@berth/shared/desired'
import { eventually } from '@berth/shared/testing/eventually'
import { agentBench } from './testing/agent-bench.ts'
import { tarZst } from './testing/archive.ts'
import { deploymentOf, siteOf, type TestFleet, testFleet } from './testing/fleet.ts'
import { memoryHost } from './testing/memory-host.ts'

const hostNames = ['one.localhost']
const points = [
  'desired/objects-written',
  'desired/head-written',
  'build/fetched',
  'build/unpacked',
  'build/renamed',
  'release/linked',
  'release/written',
  'release/renamed',
  'release/unnamed',
  'step/install',
  'step/link',
  'step/start',
  'step/probe',
  'step/route',
  'step/freeze',
  'step/thaw',
  'step/quick-probe',
  'step/retire',
  'step/remove-files'
] as const

describe('an agent that is killed', () => {
  let fleet: TestFleet
  before(async () => {
    fleet = await testFleet()
  })
  after(() => fleet.remove())

  for (const [n, point] of points.entries())
    it(`at ${point} leaves what its successor makes right, and nobody notices`, async (t) => {
      const world = memoryHost()
      const bench = await agentBench(fleet, world.host, {}, `s-${n}`)
      t.after(bench.stop)
      const { desire, one, two, deployment } = await scenario(fleet)
      let hasDied = false
      const checkpoint = (name: string) => {
        if (hasDied || name !== point) return
        hasDied = true
        throw new Error(`killed at ${name}`)
      }
      /** Does what an agent does until it is as desired; one that is killed on the way has a successor. */
      const settle = async (change: Partial<DesiredDeployment> | undefined, check: () => unknown) => {
        await desire(change)
        if (hasDied) return void (await eventually(check, { deadlineMs: 20_000 }))
        await eventually(() => hasDied || check(), { deadlineMs: 20_000 })
        if (!hasDied) return
        await bench.stop()
        await bench.start()
        await eventually(check, { deadlineMs: 20_000, what: `what is desired, after a death at ${point}` })
      }
      const states = () => world.poolStates(deployment)
      const isServed = (release: string, other?: string) =>
        world.served(deployment) === release && (other === undefined || states()[other] === 'frozen')

      await bench.start({ checkpoint })
      await settle({ current: one }, () => isServed(one.release))
      await settle({ current: one, preparing: two }, () => states()[two.release] === 'running')
      await settle({ current: two, warm: one }, () => isServed(two.release, one.release))
      await settle({ current: one, warm: two }, () => isServed(one.release, two.release))
      await settle({ current: one, keepWarm: 'off' }, () => isServed(one.release) && Object.keys(states()).length === 1)
      await settle(undefined, async () => (await readdir(join(bench.serverFolder, 'releases'))).length === 0)

      assert.equal(hasDied, true, 'the point was passed')
      assert.deepEqual(world.table()?.routes, [])
      assert.deepEqual(states(), {})
      assert.deepEqual(world.harm, [])
    })
})

const scenario = async (fleet: TestFleet) => {
  const archive = await tarZst({ 'build.json': '{}' })
  const build = await fleet.putBuild({ name: 'node', version: '24.0.0', platform: 'linux-x64', requires: [] }, archive)
  const deployment = randomUUID()
  const site = randomUUID()
  const [one, two] = await Promise.all(
    [1, 2].map((number) => fleet.putRelease({ deployment, number, files: { 'server.js': `${number}` }, build, hostNames }))
  )
  assert.ok(one && two)
  const desire = (change: Partial<DesiredDeployment> | undefined) =>
    fleet.putDesired(
      change
        ? [siteOf(fleet.subscription, site, hostNames, [deploymentOf({ deployment, application: fleet.application }, change)])]
        : []
    )
  await desire(undefined)
  return { desire, one, two, deployment }
}
