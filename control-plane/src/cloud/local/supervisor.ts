import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canonicalJson } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import { callControl, socketPathIn } from '@berth/shared/control-socket'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import {
  isAlive,
  type ProcessIdentity,
  readIdentity,
  signalProcess,
  startDetached,
  stopProcess,
  writeIdentity
} from '@berth/shared/processes'
import { Refusal } from '@berth/shared/refusal'
import { balancerProcess, findBalancer } from './balancer-process.ts'
import { openState } from './cloud-files.ts'
import { servers } from './servers.ts'
import { parseSupervisorSettings, type SupervisorSettings } from './settings.ts'
import { type CloudView, parseCloudView } from './view.ts'

const main = fileURLToPath(new URL('./supervisor-main.ts', import.meta.url))
const startMsMax = 30_000
const pollMs = 50

/** A running supervisor: its process, and the control socket by which the `cloud` door reaches it. */
export type Supervisor = { readonly identity: ProcessIdentity; readonly socketPath: string }

/** Where a supervisor keeps what others look for. */
export const supervisorPaths = async (folder: string) => ({
  identity: join(folder, 'supervisor.json'),
  settings: join(folder, 'settings.json'),
  log: join(folder, 'supervisor.log'),
  socket: await socketPathIn(folder, 'control')
})

export type StartSupervisorOptions = {
  readonly folder: string
  /** The Node that runs the supervisor and the balancer. */
  readonly node: string
  /** The whole environment of everything in this cloud. */
  readonly env: Readonly<Record<string, string>>
  readonly settings: Omit<SupervisorSettings, 'node' | 'env'>
  readonly clock: Clock
}

/**
 * Starts the supervisor of the cloud in this folder, or finds the one that runs. One that runs by other settings is replaced:
 * it is killed, which touches nothing that it had started, and its successor adopts all of that.
 * Resolves when the entry listens; refuses with `port_taken` when it cannot.
 */
export const startSupervisor = async ({ folder, node, env, settings, clock }: StartSupervisorOptions): Promise<Supervisor> => {
  await mkdir(folder, { recursive: true, mode: 0o711 })
  const paths = await supervisorPaths(folder)
  const wanted = canonicalJson(parseSupervisorSettings(JSON.stringify({ ...settings, node, env })))

  const running = await findSupervisor(folder)
  if (running && (await readTextIfThere(paths.settings)) === wanted) return untilItServes(running, folder, clock)
  if (running) {
    await signalProcess(running.identity, 'SIGKILL')
    await stopProcess(running.identity, { graceMs: 0, clock })
  }
  const serves = await findBalancer(folder)
  await writeFileAtomic(paths.settings, wanted)
  const identity = await startDetached({ command: node, args: [main, folder], cwd: folder, env, logFile: paths.log })
  await writeIdentity(paths.identity, identity)
  try {
    return await untilItServes({ identity, socketPath: paths.socket }, folder, clock)
  } catch (error) {
    // What served before this start goes on serving, supervised or not; a start from nothing leaves nothing behind.
    if (!serves) await stopSupervisor({ folder, clock })
    throw error
  }
}

/** The supervisor that runs for this folder, if one does. */
export const findSupervisor = async (folder: string): Promise<Supervisor | undefined> => {
  const paths = await supervisorPaths(folder)
  const identity = await readIdentity(paths.identity)
  return identity && (await isAlive(identity)) ? { identity, socketPath: paths.socket } : undefined
}

/**
 * Ends the cloud of this folder: every service, keeper and worker, the balancer, and the supervisor. What a killed supervisor
 * had left running is ended too. Everything on disk stays; the next start carries on with it.
 */
export const stopSupervisor = async ({ folder, clock }: { readonly folder: string; readonly clock: Clock }): Promise<void> => {
  const paths = await supervisorPaths(folder)
  const text = await readTextIfThere(paths.settings)
  if (text === undefined) return
  const settings = parseSupervisorSettings(text)
  const running = await findSupervisor(folder)
  // Services, keepers, workers and the balancer, one after the other, each with its own grace; and then some.
  if (running) await stopProcess(running.identity, { graceMs: settings.stopGraceMs * 6 + 10_000, clock })
  const deps = { folder, settings, ...(await openState(folder, settings.loopback)), clock, log: () => undefined }
  await servers(deps).stop()
  await balancerProcess({ cloudFolder: folder, ...deps }).stop()
}

const untilItServes = async (supervisor: Supervisor, folder: string, clock: Clock): Promise<Supervisor> => {
  const deadlineMs = clock.now().getTime() + startMsMax
  for (;;) {
    const view = await findView(supervisor)
    const refusal = view && portRefusal(view)
    if (refusal) throw refusal
    if (view?.entry.some(({ listening }) => listening)) return supervisor
    if (!(await isAlive(supervisor.identity)))
      throw new Error(`the local cloud's supervisor ended as it started; its output is in ${join(folder, 'supervisor.log')}`)
    if (clock.now().getTime() >= deadlineMs)
      throw new Error(`the local cloud did not serve within ${startMsMax} ms; its output is in ${join(folder, 'supervisor.log')}`)
    await clock.wait(pollMs)
  }
}

const findView = async ({ socketPath }: Supervisor): Promise<CloudView | undefined> => {
  try {
    return parseCloudView(await callControl(socketPath, 'GET', '/state'))
  } catch (error) {
    if (error instanceof Refusal && (error.code === 'unreachable' || error.code === 'no_answer')) return undefined
    throw error
  }
}

/** A system without IPv6 has no ::1, which is no problem; a port that somebody else has is one on either address. */
const portRefusal = ({ entry }: CloudView): Refusal | undefined => {
  const taken = entry.find(({ problem }) => problem === 'EADDRINUSE' || problem === 'EACCES')
  return (
    taken &&
    new Refusal(
      'port_taken',
      `port ${taken.port} on ${taken.address} ${taken.problem === 'EACCES' ? 'may not be used by this user' : 'is taken by another program'}; ` +
        'nothing was started. Stop that program, or choose another port with BERTH_HTTP_PORT=<port>'
    )
  )
}
