import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock } from '@berth/shared/clock'
import { callControl, socketPathIn } from '@berth/shared/control-socket'
import type { DesiredDeployment, ReleaseRef } from '@berth/shared/desired'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { type ObservedDeployment, parseObserved } from '@berth/shared/observed'
import { isAlive, type ProcessIdentity, readIdentity, signalProcess, startDetached, stopProcess } from '@berth/shared/processes'
import { eventually } from '@berth/shared/testing/eventually'
import { request } from 'undici'
import { tarZst } from './testing/archive.ts'
import { deploymentOf, siteOf, type TestFleet, testFleet } from './testing/fleet.ts'
import { writeServerFiles } from './testing/server-files.ts'
import { freePort } from './testing/web-workers.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const hostNames = ['one.localhost']
const isRoot = process.getuid?.() === 0
const deployment = randomUUID()
const site = randomUUID()

describe('a whole server: agent, front, keepers and workers as processes of their own', () => {
  let fleet: TestFleet
  let serverFolder: string
  let port: number
  let agentProcess: ProcessIdentity
  const services: ProcessIdentity[] = []
  const releases: ReleaseRef[] = []

  const startService = async (entry: string): Promise<ProcessIdentity> => {
    const identity = await startDetached({
      command: process.execPath,
      args: [here(entry), serverFolder],
      cwd: serverFolder,
      env: {},
      logFile: join(fleet.folder, 'services.log')
    })
    services.push(identity)
    return identity
  }
  const desire = (change: Partial<DesiredDeployment>) =>
    fleet.putDesired([
      siteOf(fleet.subscription, site, hostNames, [deploymentOf({ deployment, application: fleet.application }, change)])
    ])
  const ask = async (path = '/identity') => {
    const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`, { headers: { host: hostNames[0] ?? '' } })
    return { status: statusCode, body: await body.text() }
  }
  const askIdentity = async (): Promise<{ version: string; pid: number; uid: number }> => JSON.parse((await ask()).body)
  const untilServed = (version: string) =>
    eventually(async () => (await askIdentity()).version === version, { what: `version ${version}` })
  const report = async () => parseObserved((await getBytes(fleet.objects, layout.observed(fleet.fleet, 's-1'))) ?? '')
  const untilPool = (release: string, state: string) =>
    eventually(
      async () => {
        const found = (await report()).deployments.find((each): each is ObservedDeployment => each.deployment === deployment)
        return found?.pools.some((pool) => pool.release === release && pool.state === state)
      },
      { what: `pool ${state}`, deadlineMs: 30_000 }
    )
  const poolProcesses = async (kind: 'keeper' | 'worker'): Promise<ProcessIdentity[]> => {
    const pools = join(serverFolder, 'run', 'pools')
    const names = await readdir(pools, { recursive: true }).catch(() => [])
    const files = names.filter((name) => name.endsWith('.process.json') && name.includes(`${kind}-`))
    return (await Promise.all(files.map((name) => readIdentity(join(pools, name))))).filter((found) => found !== undefined)
  }

  before(async () => {
    fleet = await testFleet()
    await chmod(fleet.folder, 0o711)
    serverFolder = join(fleet.folder, 'server')
    await mkdir(serverFolder, { mode: 0o711 })
    port = await freePort()
    await writeServerFiles(fleet, serverFolder, { port })

    const description = { format: 1, command: [process.execPath, '{build}/launch.mjs'] }
    const launcher = await readFile(here('./builds/node/launch.mjs'), 'utf8')
    const archive = await tarZst({ 'build.json': JSON.stringify(description), 'launch.mjs': launcher })
    const platform = `${process.platform}-${process.arch}`
    const build = await fleet.putBuild({ name: 'node', version: '24.0.0', platform, requires: [] }, archive)
    const sample = here('../../samples/hello-node')
    const files = Object.fromEntries(
      await Promise.all(
        ['package.json', 'server.mjs'].map(async (name) => [name, await readFile(join(sample, name), 'utf8')] as const)
      )
    )
    for (const number of [1, 2])
      releases.push(
        await fleet.putRelease({ deployment, number, files: { ...files, 'version.txt': `${number}` }, build, hostNames })
      )
    await desire({ current: releases[0] ?? null })
    await startService('./front/main.ts')
    agentProcess = await startService('./main.ts')
  })

  after(async () => {
    for (const identity of services) await stopProcess(identity, { graceMs: 2000, clock: systemClock })
    // Keepers first, or they would start their workers anew.
    for (const kind of ['keeper', 'worker'] as const)
      for (const identity of await poolProcesses(kind))
        await stopProcess(identity, { graceMs: 0, group: kind === 'worker', clock: systemClock })
    await eventually(() => fleet.remove().then(() => true))
  })

  it('serve what desired state names, under an identity of the deployment’s own', async () => {
    await untilServed('1')

    const { uid } = await askIdentity()
    if (isRoot) assert.ok(uid >= 200_000)
    else assert.equal(uid, process.getuid?.())
    assert.equal((await ask('/.berth/ready')).status, 200)
    const socket = await socketPathIn(serverFolder, 'agent')
    const status = parseObserved(JSON.stringify(await callControl(socket, 'GET', '/status')))
    assert.deepEqual([status.ready, status.head, status.notIsolated.length], [true, 'current', isRoot ? 0 : 1])
  })

  it('switch without a failed request, and roll back to the very process that was frozen', async () => {
    const [one, two] = releases
    assert.ok(one && two)
    const first = await askIdentity()
    const stop = new AbortController()
    const answers: number[] = []
    const prober = (async () => {
      while (!stop.signal.aborted) answers.push((await ask()).status)
    })()

    await desire({ current: one, preparing: two })
    await untilPool(two.release, 'ready')
    await desire({ current: two, warm: one })
    await untilServed('2')
    await untilPool(one.release, 'frozen')
    await desire({ current: one, warm: two })
    await untilServed('1')
    await untilPool(two.release, 'frozen')
    stop.abort()
    await prober

    assert.equal((await askIdentity()).pid, first.pid)
    assert.deepEqual(
      answers.filter((status) => status !== 200),
      []
    )
    assert.ok(answers.length > 10)
  })

  it('go on serving when the agent is killed, and another one carries on', async () => {
    const [one, two] = releases
    assert.ok(one && two)
    const before = await askIdentity()
    await signalProcess(agentProcess, 'SIGKILL')
    await eventually(async () => !(await isAlive(agentProcess)))
    assert.deepEqual((await askIdentity()).pid, before.pid)

    agentProcess = await startService('./main.ts')
    await desire({ current: two, warm: one })

    await untilServed('2')
  })

  it('go on serving when the agent is told to end', async () => {
    await signalProcess(agentProcess, 'SIGTERM')

    await eventually(async () => !(await isAlive(agentProcess)))
    assert.equal((await askIdentity()).version, '2')
  })
})
