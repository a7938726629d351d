import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive } from '@berth/shared/processes'
import { eventually } from '@berth/shared/testing/eventually'
import { cli } from '../system/client.ts'
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
  type ServerProcess,
  supervisorOf
} from '../system/servers.ts'
import { askServer, comesBackMsMax, type Stage, serverCount, untilServes } from './stage.ts'

const ofRole = async (server: Server, role: Role) => (await processesOf(server)).filter((process) => process.role === role)

const allProcesses = async (stage: Stage): Promise<ServerProcess[]> =>
  (await Promise.all((await listServers(stage.system)).map(processesOf))).flat()

const assertAlive = async (processes: readonly ServerProcess[]): Promise<void> => {
  for (const process of processes) assert.ok(await isAlive(process), `${process.role} ${process.pid} lives on`)
}

/** A worker of hello-node: its keeper starts another one, and the server serves on. */
export const killWorker = async (stage: Stage, server: Server): Promise<void> => {
  const play = stage.play('hello-node')
  const { version, worker } = await askServer(server, play)
  const process = (await ofRole(server, 'worker')).find(({ pid }) => pid === worker?.pid)
  assert.ok(process, 'the worker that answered is one that its server knows')

  await stage.kill('worker', server, () => killAll([process]))

  const next = await untilServes(server, play, Number(version), comesBackMsMax)
  assert.notEqual(next.worker?.pid, worker?.pid)
}

/** An agent: nothing else is touched, and another one comes. */
export const killAgent = async (_stage: Stage, server: Server): Promise<void> => {
  const before = await processesOf(server)

  await killAll(before.filter(({ role }) => role === 'agent'))

  await eventually(async () => (await ofRole(server, 'agent')).length === 1, {
    what: 'another agent',
    deadlineMs: comesBackMsMax
  })
  await assertAlive(before.filter(({ role }) => role !== 'agent'))
}

/** The keepers of a server: the workers that they had live on, and the next change finds keepers for them. */
export const killKeepers = async (_stage: Stage, server: Server): Promise<void> => {
  const workers = await ofRole(server, 'worker')

  await killAll(await ofRole(server, 'keeper'))

  await assertAlive(workers)
}

/** Everything on a server: nobody is sent there until it is back, with what it served, from its own disk. */
export const killWholeServer = async (stage: Stage, server: Server): Promise<void> => {
  const versions = await Promise.all(stage.plays.map(async (play) => ({ play, ...(await askServer(server, play)) })))

  await stage.kill('server', server, () => killServer(server))

  const back = await allReady(stage.system, serverCount, comesBackMsMax)
  assert.ok(
    back.some((other) => other.server === server.server),
    'the same server came back'
  )
  for (const { play, version } of versions) await untilServes(server, play, Number(version), comesBackMsMax)
}

/** PostgreSQL: it is started again with everything in it. Until it takes connections the API asks people to try again. */
export const killPostgres = async (stage: Stage): Promise<void> => {
  await killAll([await postgresOf(stage.system)])

  await eventually(() => postgresOf(stage.system), { what: 'another PostgreSQL', deadlineMs: comesBackMsMax })
  const isAnswered = async () => (await cli(stage.system, ['status', '--json'])).code === 0
  await eventually(isAnswered, { what: 'an API that answers', deadlineMs: comesBackMsMax, everyMs: 250 })
}

/** The local cloud's supervisor: the next one adopts what runs. */
export const killSupervisor = async (stage: Stage): Promise<void> => {
  const before = await allProcesses(stage)
  const supervisor = await supervisorOf(stage.system)

  await killAll([supervisor])

  await eventually(() => supervisorOf(stage.system), { what: 'another supervisor', deadlineMs: comesBackMsMax })
  await allReady(stage.system, serverCount, comesBackMsMax)
  await assertAlive(before)
}

/** The control plane: everything runs on without it, and is adopted when it is started again. */
export const killControlPlane = async (stage: Stage, changed: Readonly<Record<string, string>> = {}): Promise<void> => {
  const before = await allProcesses(stage)

  await killAll([await controlPlaneOf(stage.system)])
  await stage.system.over()
  await stage.system.start(changed)

  await assertAlive(before)
}

/** Takes the object store's folder away while `work` goes on. */
export const withoutStore = async <T>(stage: Stage, work: () => Promise<T>): Promise<T> => {
  const objects = join(stage.system.home, 'objects')
  await rename(objects, `${objects}.away`)
  try {
    return await work()
  } finally {
    await rename(`${objects}.away`, objects)
  }
}
