import { basename, join } from 'node:path'
import { callControl } from '@berth/shared/control-socket'
import { isAlive, type ProcessIdentity, readIdentity, signalProcess } from '@berth/shared/processes'
import { eventually } from '@berth/shared/testing/eventually'
import { readProcesses } from '../../../control-plane/src/cloud/local/server-folder.ts'
import { supervisorPaths } from '../../../control-plane/src/cloud/local/supervisor.ts'
import { parseAborted } from '../../../control-plane/src/cloud/local/table.ts'
import { parseCloudView } from '../../../control-plane/src/cloud/local/view.ts'
import { isConnection, openConnection } from '../prober/connection.ts'
import type { AbortedConnection } from '../prober/killed.ts'
import type { System } from './system.ts'

/** One server: its disk, and where its front listens. */
export type Server = {
  readonly fleet: string
  readonly server: string
  readonly folder: string
  readonly address: string
  readonly port: number
}

export type Role = 'agent' | 'front' | 'keeper' | 'worker'
export type ServerProcess = ProcessIdentity & { readonly role: Role }

/** The servers of the cloud, as its supervisor knows them. */
export const listServers = async (system: System): Promise<Server[]> => {
  const { fleets } = parseCloudView(await callControl(system.ready().supervisorSocket, 'GET', '/state'))
  return Object.entries(fleets).flatMap(([fleet, { members }]) =>
    members.map(({ server, folder, address, port }) => ({ fleet, server, folder, address, port }))
  )
}

/** The living processes of one server. */
export const processesOf = async ({ folder }: Server): Promise<ServerProcess[]> => {
  const found = await readProcesses(folder)
  const living = await Promise.all(found.map(async (process) => ((await isAlive(process)) ? [process] : [])))
  const unique = new Map(living.flat().map((process) => [process.pid, process]))
  return [...unique.values()].map(({ pid, startTime, file }) => ({ pid, startTime, role: roleOf(basename(file)) }))
}

const roleOf = (file: string): Role =>
  file.startsWith('agent') ? 'agent' : file.startsWith('front') ? 'front' : file.startsWith('keeper') ? 'keeper' : 'worker'

/** Whether the front of this server says that it is ready: what the balancer asks. */
export const isReady = async (server: Server): Promise<boolean> => {
  const opened = await openConnection(server, 1000)
  if (!isConnection(opened)) return false
  const exchange = await opened.exchange({ method: 'GET', host: server.address, path: '/.berth/ready' }, 1000)
  opened.close()
  return exchange.outcome === 'answered' && exchange.answer.status === 200
}

/** Waits until as many servers as there shall be are ready. */
export const allReady = (system: System, count: number, deadlineMs = 60_000): Promise<Server[]> =>
  eventually(
    async () => {
      const servers = await listServers(system)
      const ready = await Promise.all(servers.map(isReady))
      return servers.length === count && ready.every(Boolean) ? servers : undefined
    },
    { deadlineMs, what: `${count} ready servers`, everyMs: 50 }
  )

/** What was killed, and when: just before the first signal, and as soon as the last process was seen to be gone. */
export type Kill = { readonly at: number; readonly doneAt: number; readonly pids: readonly number[] }

/** Kill -9 to all of these at once, and wait until none is left. */
export const killAll = async (processes: readonly ProcessIdentity[]): Promise<Kill> => {
  if (processes.length === 0) throw new Error('there is nothing to kill, so nothing would be proven')
  const at = Date.now()
  const sent = await Promise.all(processes.map((process) => signalProcess(process, 'SIGKILL')))
  if (!sent.some(Boolean)) throw new Error('what was to be killed was gone before')
  for (const process of processes)
    await eventually(async () => !(await isAlive(process)), { what: `the end of process ${process.pid}`, everyMs: 2 })
  return { at, doneAt: Date.now(), pids: processes.map(({ pid }) => pid) }
}

/** Kill -9 to everything that runs on a server: keepers first, so that none starts a worker that we do not know. */
export const killServer = async (server: Server): Promise<Kill> => {
  const order: readonly Role[] = ['keeper', 'agent', 'front', 'worker']
  const processes = await processesOf(server)
  return killAll(processes.toSorted((a, b) => order.indexOf(a.role) - order.indexOf(b.role)))
}

/** The process that is the control plane of this home. */
export const controlPlaneOf = (system: System): Promise<ProcessIdentity> =>
  living(join(system.home, 'control-plane.json'), 'control plane')

/** The supervisor of the local cloud. */
export const supervisorOf = async (system: System): Promise<ProcessIdentity> =>
  living((await supervisorPaths(join(system.home, 'cloud'))).identity, 'supervisor')

/** The embedded database's first process. */
export const postgresOf = (system: System): Promise<ProcessIdentity> =>
  living(join(system.home, 'postgres', 'process.json'), 'PostgreSQL')

const living = async (file: string, what: string): Promise<ProcessIdentity> => {
  const identity = await readIdentity(file)
  if (!identity || !(await isAlive(identity))) throw new Error(`no ${what} lives by ${file}`)
  return identity
}

/** The connections that the balancer lost with a server that died. */
export const abortedConnections = async (system: System): Promise<AbortedConnection[]> => {
  const answer = parseAborted(await callControl(system.ready().supervisorSocket, 'GET', '/aborted'))
  return answer.map(({ at, clientPort, server }) => ({ at, clientPort, server }))
}
