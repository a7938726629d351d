import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { access, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { DesiredDeployment, ReleaseRef } from '@berth/shared/desired'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { openWithPrivateKey } from '@berth/shared/sealed'
import { eventually } from '@berth/shared/testing/eventually'
import type { AgentOptions } from './agent.ts'
import { agentBench } from './testing/agent-bench.ts'
import { tarZst } from './testing/archive.ts'
import { deploymentOf, siteOf, type TestFleet, testFleet } from './testing/fleet.ts'
import { memoryHost } from './testing/memory-host.ts'

const hostNames = ['one.localhost']
const day = 24 * 60 * 60 * 1000

/** One fleet with one deployment on one site, one server with a real agent, and a host in memory. */
const setUp = async (t: TestContext, options: Partial<AgentOptions> = {}) => {
  const fleet = await testFleet()
  const world = memoryHost()
  const bench = await agentBench(fleet, world.host, options)
  t.after(async () => {
    await bench.stop()
    await fleet.remove()
    assert.deepEqual(world.harm, [], 'nobody who was being served was harmed')
  })
  const archive = await tarZst({ 'build.json': '{}', 'run.js': 'go' })
  const build = await fleet.putBuild({ name: 'node', version: '24.0.0', platform: 'linux-x64', requires: [] }, archive)
  const deployment = randomUUID()
  const site = randomUUID()
  const release = (number: number, change: Partial<Parameters<TestFleet['putRelease']>[0]> = {}): Promise<ReleaseRef> => {
    const files = { 'server.js': `version ${number}`, 'same.txt': 'the same in all' }
    return fleet.putRelease({ deployment, number, files, build, hostNames, ...change })
  }
  const siteWith = (change: Partial<DesiredDeployment>, names = hostNames) =>
    siteOf(fleet.subscription, site, names, [deploymentOf({ deployment, application: fleet.application }, change)])
  const desire = (change: Partial<DesiredDeployment>, alter?: Parameters<TestFleet['putDesired']>[1]) =>
    fleet.putDesired([siteWith(change)], alter)
  const untilRouted = (ref: ReleaseRef) => bench.untilDeployment(deployment, ({ routed }) => routed === ref.release, 'routed')
  /** Serves version 1, with the agent up. */
  const serveFirst = async (): Promise<ReleaseRef> => {
    const one = await release(1)
    await desire({ current: one })
    await bench.start()
    await untilRouted(one)
    return one
  }
  return { fleet, build, world, bench, deployment, site, release, siteWith, desire, untilRouted, serveFirst }
}

describe('an agent', () => {
  it('installs, starts, probes and routes what is desired, and is ready then', async (t) => {
    const { world, bench, deployment, release, desire, untilRouted } = await setUp(t)
    const one = await release(1, { settings: { COLOUR: 'green' } })
    await desire({ current: one })

    await bench.start()

    const found = await untilRouted(one)
    assert.deepEqual(
      found.pools.map((pool) => [pool.release, pool.state]),
      [[one.release, 'ready']]
    )
    const spec = world.specOf(deployment, one.release)
    assert.equal(await readFile(join(spec.releaseFolder, 'server.js'), 'utf8'), 'version 1')
    assert.deepEqual(spec.settings, { COLOUR: 'green' })
    await access(join(spec.buildFolder, 'build.json'))
    const report = await bench.untilReport(({ ready }) => ready)
    assert.deepEqual([report.head, report.generation, report.builds], ['current', 1, ['node-24.0.0']])
    assert.equal(world.table()?.ready, true)
    await access(join(bench.serverFolder, 'state', 'ready'))
  })

  it('prepares beside, switches in one step and keeps the old release frozen', async (t) => {
    const { world, deployment, release, desire, untilRouted, serveFirst, bench } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    const operation = randomUUID()

    await desire({ current: one, preparing: two, operation })
    await bench.untilDeployment(
      deployment,
      (found) =>
        found.operation === operation && found.pools.some((pool) => pool.release === two.release && pool.state === 'ready')
    )
    assert.equal(world.served(deployment), one.release)
    world.setInFlight(deployment, one.release, 1)
    await desire({ current: two, warm: one, operation, bake: true })
    await untilRouted(two)
    assert.equal(world.poolStates(deployment)[one.release], 'running', 'it answers its last request')
    world.setInFlight(deployment, one.release, 0)

    await bench.untilDeployment(deployment, ({ pools }) =>
      pools.some((pool) => pool.release === one.release && pool.state === 'frozen')
    )
    const spec = world.specOf(deployment, two.release)
    const [first, second] = await Promise.all(
      [one, two].map(({ release: digest }) => stat(join(spec.releaseFolder, '..', digest, 'same.txt')))
    )
    assert.equal(first?.ino, second?.ino, 'an unchanged file is linked')
    assert.equal(await readFile(join(spec.adjacentLink, 'server.js'), 'utf8'), 'version 1')
  })

  it('rolls back to a frozen release without installing or starting anything', async (t) => {
    const { world, deployment, release, desire, untilRouted, serveFirst, bench } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    await desire({ current: two, warm: one })
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    await untilRouted(two)
    world.calls.length = 0
    bench.store.gets.length = 0

    await desire({ current: one, warm: two })
    await untilRouted(one)
    await eventually(() => world.poolStates(deployment)[two.release] === 'frozen')

    const short = (line: string) => line.replace(one.release, 'one').replace(two.release, 'two')
    assert.deepEqual(world.calls.map(short), ['thaw one', 'probe one 1', 'route one', 'freeze two'])
    assert.ok(!bench.store.gets.some((key) => key.includes('/packages/') || key.includes('/packs/')))
  })

  it('serves on and prepares anew when a thawed release does not answer in time', async (t) => {
    const { world, deployment, release, desire, untilRouted, serveFirst } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    await desire({ current: two, warm: one })
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    await untilRouted(two)
    world.behave(one.release, { kind: 'hangs-when-thawed' })
    world.calls.length = 0

    await desire({ current: one, warm: two })
    await untilRouted(one)

    const ofOne = world.calls.filter((line) => line.includes(one.release)).map((line) => line.replace(one.release, 'one'))
    assert.deepEqual(ofOne, ['thaw one', 'probe one 1', 'stop one', 'start one', 'probe one 2', 'route one'])
  })

  it('rolls back at once while the other release still answers its last requests', async (t) => {
    const { world, deployment, release, desire, untilRouted, serveFirst } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    world.setInFlight(deployment, one.release, 1)
    await desire({ current: two, warm: one })
    await untilRouted(two)
    world.calls.length = 0

    await desire({ current: one, warm: two })

    await untilRouted(one)
    await eventually(() => world.poolStates(deployment)[two.release] === 'frozen')
    assert.ok(!world.calls.some((line) => /freeze|stop|start/.test(line) && line.endsWith(one.release)), 'it was never touched')
  })

  it('never routes a pool that is on its way out: it is started anew when it is over', async (t) => {
    const { world, bench, release, desire, untilRouted, serveFirst } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    const end = world.holdStops()
    await desire({ current: two, keepWarm: 'off' })
    await untilRouted(two)
    await eventually(() => world.calls.includes(`stop ${one.release}`))

    await desire({ current: one, keepWarm: 'off' })
    await bench.untilReport(({ generation }) => generation === 3)
    end()
    await untilRouted(one)

    const ofOne = world.calls
      .slice(world.calls.indexOf(`stop ${one.release}`))
      .filter((line) => line.endsWith(one.release) || line.includes(`probe ${one.release}`))
    assert.deepEqual(
      ofOne.map((line) => line.split(' ')[0]),
      ['stop', 'start', 'probe', 'route']
    )
  })

  it('falls back by itself while a new release bakes, and says so until it is asked anew', async (t) => {
    const { world, deployment, release, desire, untilRouted, serveFirst, bench } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    const operation = randomUUID()
    const baking = { current: two, warm: one, operation, bake: true }
    await desire(baking)
    await untilRouted(two)
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')

    world.crash(deployment, two.release)

    const fallen = await untilRouted(one)
    assert.deepEqual(fallen.fallback, { release: two.release, operation, attempt: 1 })
    assert.deepEqual(fallen.pools.find((pool) => pool.release === two.release)?.state, 'failed')
    await bench.stop()
    await bench.start()
    await desire({ ...baking, bake: false })
    await bench.untilReport(({ generation }) => generation === 3)
    assert.equal(world.served(deployment), one.release)

    await desire({ ...baking, attempt: 2 })
    const again = await untilRouted(two)
    assert.equal(again.fallback, undefined)
  })

  it('does not fall back once the bake is over', async (t) => {
    const { world, deployment, release, desire, untilRouted, serveFirst, bench } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    await desire({ current: two, warm: one })
    await untilRouted(two)
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')

    world.crash(deployment, two.release)

    const found = await bench.untilDeployment(deployment, ({ routed }) => routed === null)
    assert.equal(found.pools.find((pool) => pool.release === two.release)?.reason?.code, 'crashed')
    assert.equal(world.served(deployment), undefined)
    assert.equal(world.table()?.routes[0]?.failed, true)
  })

  it('drains, ends and removes a deployment that is no longer desired', async (t) => {
    const { fleet, world, deployment, serveFirst, bench } = await setUp(t)
    await serveFirst()

    await fleet.putDesired([])

    await eventually(async () => (await bench.report()).deployments.length === 0)
    assert.deepEqual(world.poolStates(deployment), {})
    assert.deepEqual(world.table()?.routes, [])
    assert.deepEqual(await readdir(join(bench.serverFolder, 'releases')), [])
  })

  it('carries on where it was when it is stopped and started, touching no pool', async (t) => {
    const { world, serveFirst, untilRouted, bench } = await setUp(t)
    const one = await serveFirst()
    await bench.stop()
    world.calls.length = 0

    await bench.start()
    await bench.untilReport(({ ready }) => ready)
    await untilRouted(one)

    assert.deepEqual(
      world.calls.filter((line) => !line.startsWith('route')),
      []
    )
  })

  it('serves from its own disk after a reboot with the store gone: first what is current, then what is warm', async (t) => {
    const { world, deployment, release, desire, serveFirst, bench, untilRouted } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    await desire({ current: two, warm: one })
    await untilRouted(two)
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    await bench.stop()
    world.reboot()
    world.calls.length = 0
    bench.store.setGone(true)

    await bench.start()

    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    assert.equal(world.served(deployment), two.release)
    assert.equal(world.table()?.ready, true)
    const starts = world.calls.filter((line) => line.startsWith('start'))
    assert.deepEqual(starts, [`start ${two.release}`, `start ${one.release}`])
    assert.ok(world.calls[0]?.startsWith('route !'), 'the ports of before are nobody’s any more')
    bench.store.setGone(false)
    await bench.untilReport(({ ready, head }) => ready && head === 'current')
  })

  it('serves the current release after a reboot with the store gone though the same release was deployed anew', async (t) => {
    const { fleet, world, deployment, release, desire, serveFirst, bench, untilRouted } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    await desire({ current: two, warm: one, operation: randomUUID(), bake: true })
    await untilRouted(two)
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    await desire({ current: one, warm: two, operation: randomUUID() })
    await untilRouted(one)
    await eventually(() => world.poolStates(deployment)[two.release] === 'frozen')
    // The same bytes under another name: what is remembered of them must not stand in for what lies on the disk.
    const again = { ...two, id: randomUUID() }
    for (const keyOf of [layout.fleetPackage, layout.fleetPackageSignature]) {
      const bytes = await getBytes(fleet.objects, keyOf(fleet.fleet, two.id, 1))
      assert.ok(bytes)
      await fleet.objects.put(keyOf(fleet.fleet, again.id, 1), bytes)
    }
    world.calls.length = 0
    await desire({ current: again, warm: one, operation: randomUUID(), bake: true })
    await untilRouted(again)
    const folder = join(bench.serverFolder, 'state', 'packages')
    await eventually(async () => (await readdir(folder)).includes(`${again.id}.1`))
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    assert.ok(!world.calls.some((line) => /^(start|stop)/.test(line)), 'nothing was started anew')
    await bench.stop()
    world.reboot()
    bench.store.setGone(true)

    await bench.start()

    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    assert.equal(world.served(deployment), again.release)
  })

  it('waits for the store, and does not fall back, when it cannot fetch what it needs', async (t) => {
    const { world, deployment, release, desire, serveFirst, bench, untilRouted } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    await desire({ current: two, warm: one, operation: randomUUID(), bake: true })
    await untilRouted(two)
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    await bench.stop()
    world.reboot()
    await rm(join(bench.serverFolder, 'state', 'packages', `${two.id}.1`))
    bench.store.setGone(true)

    await bench.start()

    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    assert.equal(world.served(deployment), undefined)
    bench.store.setGone(false)
    assert.equal((await untilRouted(two)).fallback, undefined)
  })

  it('serves an expired head as a newborn and reports it as stale', async (t) => {
    const { release, desire, bench, untilRouted } = await setUp(t)
    const one = await release(1)
    await desire({ current: one }, { head: (head) => ({ ...head, validUntil: new Date(Date.now() - day).toISOString() }) })

    await bench.start()

    await untilRouted(one)
    assert.equal((await bench.untilReport(({ ready }) => ready)).head, 'stale')
  })

  it('hears of a rollback while another release takes long to start, and gives that up', async (t) => {
    const { world, deployment, release, desire, untilRouted, serveFirst } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    await desire({ current: two, warm: one })
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    await untilRouted(two)
    const three = await release(3)
    world.behave(three.release, { kind: 'slow', until: new Promise(() => undefined) })
    await desire({ current: two, warm: one, preparing: three })
    await eventually(() => world.calls.includes(`probe ${three.release} 2`))

    await desire({ current: two, warm: one })

    await eventually(() => world.poolStates(deployment)[three.release] === undefined)
    await eventually(() => world.poolStates(deployment)[one.release] === 'frozen')
    assert.equal(world.served(deployment), two.release)
  })

  it('switches one site while another’s release takes long to start', async (t) => {
    const { fleet, build, world, release, siteWith, untilRouted, serveFirst } = await setUp(t)
    const one = await serveFirst()
    const slow = randomUUID()
    const names = ['slow.localhost']
    const never = await fleet.putRelease({ deployment: slow, number: 1, files: { a: 'slow' }, build, hostNames: names })
    world.behave(never.release, { kind: 'slow', until: new Promise(() => undefined) })
    const slowSite = siteOf(fleet.subscription, randomUUID(), names, [
      deploymentOf({ deployment: slow, application: fleet.application }, { current: never })
    ])
    await fleet.putDesired([siteWith({ current: one }), slowSite])
    await eventually(() => world.calls.some((line) => line.startsWith(`probe ${never.release}`)))

    const two = await release(2)
    await fleet.putDesired([siteWith({ current: two }), slowSite])

    await untilRouted(two)
    assert.equal(world.served(slow), undefined)
  })
})

describe('a release that cannot run', () => {
  const cases: readonly {
    readonly title: string
    readonly code: string
    readonly make: (world: World) => Promise<ReleaseRef>
  }[] = [
    {
      title: 'answers its probe with 500',
      code: 'probe_failed',
      make: async ({ world, release }) => {
        const bad = await release(2)
        world.behave(bad.release, { kind: 'answers', status: 500 })
        return bad
      }
    },
    {
      title: 'answers its probe with a redirect',
      code: 'probe_failed',
      make: async ({ world, release }) => {
        const bad = await release(2)
        world.behave(bad.release, { kind: 'answers', status: 302 })
        return bad
      }
    },
    {
      title: 'crashes at start',
      code: 'crashed',
      make: async ({ world, release }) => {
        const bad = await release(2)
        world.behave(bad.release, { kind: 'crashes' })
        return bad
      }
    },
    {
      title: 'has a package that the writer signed',
      code: 'unsigned',
      make: ({ release }) => release(2, { alter: { sealer: 'writer' } })
    },
    {
      title: 'has a manifest that the sealer did not sign',
      code: 'unsigned',
      make: ({ release }) => release(2, { alter: { manifestSigner: 'writer' } })
    },
    {
      title: 'was packaged for another path',
      code: 'shown_elsewhere',
      make: ({ release }) => release(2, { path: '/shop' })
    },
    {
      title: 'was packaged for other host names',
      code: 'shown_elsewhere',
      make: ({ release }) => release(2, { hostNames: ['victim.localhost'] })
    },
    {
      title: 'has a pack with altered bytes',
      code: 'bad_piece',
      make: ({ release }) =>
        release(2, {
          files: { 'server.js': 'version 2' },
          alter: {
            pack: (bytes) => {
              bytes[30] = (bytes[30] ?? 0) ^ 1
              return bytes
            }
          }
        })
    },
    {
      title: 'has a path that leads out of its folder',
      code: 'bad_path',
      make: ({ release }) => release(2, { files: { '../evil': 'x' } })
    },
    {
      title: 'needs a build that the vendor did not sign',
      code: 'unsigned',
      make: async ({ fleet, release }) => {
        const { signers } = fleet
        const vendor = signers.vendor
        Object.assign(signers, { vendor: signers.sealer })
        const archive = await tarZst({ 'build.json': '{"bad":1}' })
        const build = await fleet.putBuild({ name: 'evil', version: '1.0.0', platform: 'linux-x64', requires: [] }, archive)
        Object.assign(signers, { vendor })
        return release(2, { build })
      }
    }
  ]
  type World = Awaited<ReturnType<typeof setUp>>

  for (const { title, code, make } of cases)
    it(`because it ${title} is reported as failed, and the old one serves on`, async (t) => {
      const world = await setUp(t)
      const one = await world.serveFirst()
      const bad = await make(world)

      await world.desire({ current: one, preparing: bad })

      const found = await world.bench.untilDeployment(world.deployment, ({ pools }) =>
        pools.some((pool) => pool.release === bad.release && pool.state === 'failed')
      )
      assert.equal(found.pools.find((pool) => pool.release === bad.release)?.reason?.code, code)
      assert.equal(found.routed, one.release)
      await eventually(() => Object.keys(world.world.poolStates(world.deployment)).length === 1)
      assert.equal(world.world.served(world.deployment), one.release)
    })

  it('has its probe’s answer sealed to the subscription, and named in the report', async (t) => {
    const { fleet, world, bench, deployment, release, desire, serveFirst } = await setUp(t)
    const one = await serveFirst()
    const bad = await release(2)
    world.behave(bad.release, { kind: 'answers', status: 500 })

    await desire({ current: one, preparing: bad })

    const found = await bench.untilDeployment(deployment, ({ pools }) => pools.some(({ diagnostics }) => diagnostics))
    const id = found.pools.find(({ diagnostics }) => diagnostics)?.diagnostics ?? ''
    const sealed = await getBytes(fleet.objects, layout.diagnostics(fleet.fleet, 's-1', id))
    assert.ok(sealed && !sealed.includes('the secret of the tenant'))
    const context = { purpose: 'diagnostics', subscription: fleet.subscription, deployment, fleet: fleet.fleet, server: 's-1' }
    const opened = JSON.parse((await openWithPrivateKey(await fleet.readingKey(), context, sealed)).toString())
    assert.deepEqual([opened.last.status, opened.last.bodyStart], [500, 'the secret of the tenant'])
  })

  it('is tried again when it is asked for anew, and not before', async (t) => {
    const { world, bench, deployment, release, desire, serveFirst } = await setUp(t)
    const one = await serveFirst()
    const two = await release(2)
    world.behave(two.release, { kind: 'answers', status: 500 })
    const operation = randomUUID()
    await desire({ current: one, preparing: two, operation })
    await bench.untilDeployment(deployment, ({ pools }) => pools.some(({ state }) => state === 'failed'))
    const starts = () => world.calls.filter((line) => line === `start ${two.release}`).length
    world.behave(two.release, { kind: 'good' })

    await desire({ current: one, preparing: two, operation }, { head: (head) => ({ ...head, revision: 99 }) })
    await bench.untilReport(({ generation }) => generation === 3)
    assert.equal(starts(), 1)

    await desire({ current: one, preparing: two, operation, attempt: 2 })
    await bench.untilDeployment(
      deployment,
      ({ attempt, pools }) => attempt === 2 && pools.some(({ release: of, state }) => of === two.release && state === 'ready')
    )
    assert.equal(starts(), 2)
  })

  it('because the disk is full is refused before anything is written', async (t) => {
    let free = 1_000_000_000
    const { bench, deployment, world, release, desire, serveFirst } = await setUp(t, { freeBytes: async () => free })
    const one = await serveFirst()
    const two = await release(2)
    free = 1000

    await desire({ current: one, preparing: two })

    const found = await bench.untilDeployment(deployment, ({ pools }) => pools.some(({ reason }) => reason?.code === 'disk_full'))
    assert.equal(found.pools.find((pool) => pool.release === two.release)?.state, 'failed')
    assert.equal(world.served(deployment), one.release)
    assert.deepEqual(
      (await readdir(join(bench.serverFolder, 'releases', deployment))).filter((name) => !name.endsWith('.adjacent')),
      [one.release]
    )
  })

  it('as the first of its deployment is answered 503, and the server is ready for all others', async (t) => {
    const { world, bench, deployment, release, desire } = await setUp(t)
    const one = await release(1)
    world.behave(one.release, { kind: 'crashes' })
    await desire({ current: one })

    await bench.start()

    await bench.untilReport(({ ready }) => ready)
    assert.equal(world.served(deployment), undefined)
    assert.deepEqual([world.table()?.routes[0]?.failed, world.table()?.routes[0]?.hostNames], [true, hostNames])
  })
})

describe('an agent whose surroundings fail', () => {
  it('reports what it refused and serves on', async (t) => {
    const { bench, world, deployment, desire, release, serveFirst } = await setUp(t)
    const one = await serveFirst()

    await desire({ current: await release(2) }, { signer: 'sealer' })

    const report = await bench.untilReport(({ head }) => head === 'refused')
    assert.deepEqual([report.refusals[0]?.code, report.generation], ['wrong_role', 1])
    assert.equal(world.served(deployment), one.release)
  })

  it('goes on when the store comes back', async (t) => {
    const { bench, release, desire, untilRouted, serveFirst } = await setUp(t)
    await serveFirst()
    const two = await release(2)
    bench.store.setGone(true)
    await desire({ current: two })

    bench.store.setGone(false)

    await untilRouted(two)
  })

  it('keeps to the birth record that it was first told, and reports the other', async (t) => {
    const { fleet, bench, serveFirst, untilRouted } = await setUp(t)
    const one = await serveFirst()
    await bench.stop()
    await writeFile(join(bench.serverFolder, 'birth.json'), JSON.stringify({ ...fleet.birth, fleet: 'f-other' }))

    await bench.start()

    const report = await bench.untilReport(({ refusals }) => refusals.length > 0)
    assert.deepEqual([report.refusals[0]?.code, report.fleet], ['birth_contradicted', fleet.fleet])
    await untilRouted(one)
  })

  it('starts no pool while one could reach what is not its own', async (t) => {
    const { bench, world, deployment, release, desire } = await setUp(t, {
      canGiveIdentities: true,
      weakness: undefined,
      attempt: async (_, targets) => targets.filter(({ at }) => at.endsWith('machine.json')).map(({ at }) => at)
    })
    await desire({ current: await release(1) })

    await bench.start()

    const found = await bench.untilDeployment(deployment, ({ pools }) => pools.some(({ state }) => state === 'failed'))
    assert.equal(found.pools[0]?.reason?.code, 'not_isolated')
    assert.deepEqual(world.poolStates(deployment), {})
    assert.match((await bench.report()).notIsolated[0] ?? '', /machine\.json/)
  })
})
