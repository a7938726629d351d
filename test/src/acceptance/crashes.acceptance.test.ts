import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from '@berth/shared/processes'
import { eventually } from '@berth/shared/testing/eventually'
import {
  allReady,
  controlPlaneOf,
  killAll,
  killServer,
  listServers,
  postgresOf,
  processesOf,
  type Role,
  type Server,
  supervisorOf
} from '../system/servers.ts'
import {
  askServer,
  assertServedEverywhere,
  deployVersion,
  openStage,
  publishAndDeploy,
  rollBack,
  type Stage,
  serverCount,
  untilServes
} from './stage.ts'

const storeAwayMs = 10_000

describe('whatever is killed under a prober that never pauses', () => {
  let stage: Stage
  let servers: Server[]
  before(async () => {
    stage = await openStage()
    servers = await listServers(stage.system)
    for (const play of stage.plays) await publishAndDeploy(stage, play, 2)
    stage.probe()
  })
  after(() => stage?.destroy())

  const serverAt = (index: number): Server => {
    const server = servers[index]
    assert.ok(server)
    return server
  }
  const ofRole = async (server: Server, role: Role) => (await processesOf(server)).filter((process) => process.role === role)

  /** A change reaches every server: nothing that was killed is missing. */
  const assertChangesStillArrive = async () => {
    const play = stage.play('hello-node')
    await rollBack(stage, play)
    await assertServedEverywhere(stage, play, 1)
    await deployVersion(stage, play, 2)
    await assertServedEverywhere(stage, play, 2)
  }

  it('starts a killed worker again, and its server serves on', async () => {
    const play = stage.play('hello-node')
    const server = serverAt(0)
    const { worker } = await askServer(server, play)
    const process = (await ofRole(server, 'worker')).find(({ pid }) => pid === worker?.pid)
    assert.ok(process, 'the worker that answered is one that its server knows')

    await stage.kill('worker', server, () => killAll([process]))

    const next = await untilServes(server, play, 2)
    assert.notEqual(next.worker?.pid, worker?.pid)
  })

  it('touches no worker and no front when an agent is killed, and has another agent', async () => {
    const server = serverAt(1)
    const before = await processesOf(server)
    const agents = before.filter(({ role }) => role === 'agent')

    await killAll(agents)

    await eventually(async () => (await ofRole(server, 'agent')).length === 1, { what: 'another agent' })
    for (const process of before.filter(({ role }) => role !== 'agent'))
      assert.ok(await isAlive(process), `${process.role} ${process.pid} lives on`)
    await assertChangesStillArrive()
  })

  it('touches no worker when a keeper is killed, and keeps the workers that it had', async () => {
    const server = serverAt(1)
    const workers = await ofRole(server, 'worker')

    await killAll(await ofRole(server, 'keeper'))

    for (const process of workers) assert.ok(await isAlive(process), `worker ${process.pid} lives on`)
    await assertChangesStillArrive()
  })

  it('sends nobody to a server that was killed as a whole, and brings it back from its own disk', async () => {
    const server = serverAt(2)

    await stage.kill('server', server, () => killServer(server))

    const back = await allReady(stage.system, serverCount)
    assert.ok(
      back.some((other) => other.server === server.server),
      'the same server came back'
    )
    for (const play of stage.plays) await untilServes(server, play, 2)
  })

  it('serves on while the store is away, and takes changes when it is back', async () => {
    const objects = join(stage.system.home, 'objects')

    await rename(objects, `${objects}.away`)
    try {
      await sleep(storeAwayMs)
    } finally {
      await rename(`${objects}.away`, objects)
    }

    await assertChangesStillArrive()
  })

  it('serves on without PostgreSQL, which comes back with everything in it', async () => {
    await killAll([await postgresOf(stage.system)])

    await eventually(() => postgresOf(stage.system), { what: 'another PostgreSQL', deadlineMs: 60_000 })
    await assertChangesStillArrive()
  })

  it('serves on without a supervisor, and the next one adopts what runs', async () => {
    const before = (await Promise.all(servers.map(processesOf))).flat()
    const supervisor = await supervisorOf(stage.system)

    await killAll([supervisor])

    await eventually(async () => (await supervisorOf(stage.system)).pid !== supervisor.pid, {
      what: 'another supervisor',
      deadlineMs: 60_000
    })
    await allReady(stage.system, serverCount)
    for (const process of before) assert.ok(await isAlive(process), `${process.role} ${process.pid} lives on`)
  })

  it('serves on without the control plane, which carries on with the same data when it is started again', async () => {
    const before = (await Promise.all(servers.map(processesOf))).flat()

    await killAll([await controlPlaneOf(stage.system)])
    await stage.system.over()
    await stage.system.start()

    for (const process of before) assert.ok(await isAlive(process), `${process.role} ${process.pid} lives on`)
    await assertChangesStillArrive()
  })

  it('failed no request, but those that were on what was killed as it was killed', async () => {
    await stage.curtain('Every kill')
  })
})
