import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { digestOf } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import { callControl, socketPathIn } from '@berth/shared/control-socket'
import { isAlive, type ProcessIdentity, readIdentity, startDetached, stopProcess, writeIdentity } from '@berth/shared/processes'
import { findByArguments } from './find-process.ts'
import { died, type ServiceLife, started } from './restarts.ts'
import type { SupervisorSettings } from './settings.ts'
import { type Aborted, type BalancerState, type BalancerTable, parseAborted, parseBalancerState } from './table.ts'

const main = fileURLToPath(new URL('./balancer-main.ts', import.meta.url))
const answerMsMax = 2000
const startMsMax = 2000
const startPollMs = 20

const pathsOf = (cloudFolder: string) => ({
  folder: join(cloudFolder, 'balancer'),
  identity: join(cloudFolder, 'balancer', 'process.json')
})

/** The balancer of the cloud in this folder, if it runs. */
export const findBalancer = async (cloudFolder: string): Promise<ProcessIdentity | undefined> => {
  const recorded = await readIdentity(pathsOf(cloudFolder).identity)
  return recorded && (await isAlive(recorded)) ? recorded : undefined
}

/** The balancer's process as its supervisor deals with it: kept running, told its table, asked how the servers are. */
export const balancerProcess = ({
  cloudFolder,
  settings,
  clock,
  log
}: {
  readonly cloudFolder: string
  readonly settings: SupervisorSettings
  readonly clock: Clock
  readonly log: (line: string) => void
}) => {
  const { folder, identity: identityFile } = pathsOf(cloudFolder)
  const args = [main, folder]
  let life: ServiceLife | undefined
  let swapping: Promise<unknown> = Promise.resolve()

  const findRunning = () => findBalancer(cloudFolder)

  /** One that was started by a supervisor that died before it could write it down. */
  const adopt = async () => {
    const found = await findByArguments([settings.node, ...args])
    if (found) await writeIdentity(identityFile, found)
    return found
  }

  const start = async () => {
    const identity = await startDetached({
      command: settings.node,
      args,
      cwd: folder,
      env: settings.env,
      logFile: join(folder, 'balancer.log')
    })
    await writeIdentity(identityFile, identity)
    log(`balancer started as process ${identity.pid}`)
  }

  /** A balancer that was just started takes a moment until it answers. */
  const untilItAnswers = async () => {
    const deadlineMs = (life?.startedAtMs ?? 0) + startMsMax
    while (clock.now().getTime() < deadlineMs && !(await findState(folder))) await clock.wait(startPollMs)
  }

  return {
    findRunning,
    /** Starts the balancer when it does not run; later each time when it keeps dying. */
    keepRunning: async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const nowMs = clock.now().getTime()
      if ((await findRunning()) || (!life && (await adopt()))) {
        life ??= started(undefined, nowMs)
        return
      }
      if (life && life.startAtMs === 0) life = died(life, nowMs)
      if (life && nowMs < life.startAtMs) return
      await start()
      life = started(life, nowMs)
    },
    /** What the balancer says of itself; nothing when it does not answer. */
    findState: () => findState(folder),
    /** Tells the balancer its table, unless it works by this one already. One table after the other, so that none is overtaken. */
    tell: (table: () => BalancerTable): Promise<void> => {
      const told = swapping.then(async () => {
        await untilItAnswers()
        const wanted = table()
        const { table: known } = parseBalancerState(await call(folder, 'GET', '/state'))
        if (known !== digestOf(wanted)) await call(folder, 'PUT', '/table', wanted)
      })
      swapping = told.catch(() => undefined)
      return told
    },
    aborted: async (): Promise<readonly Aborted[]> => parseAborted(await call(folder, 'GET', '/aborted')),
    stop: async () => {
      const running = (await findRunning()) ?? (await adopt())
      if (running) await stopProcess(running, { graceMs: settings.stopGraceMs, clock })
    }
  }
}
export type BalancerProcess = ReturnType<typeof balancerProcess>

const findState = async (folder: string): Promise<BalancerState | undefined> => {
  try {
    return parseBalancerState(await call(folder, 'GET', '/state'))
  } catch {
    // It is starting or was killed; the next look sees.
    return undefined
  }
}

const call = async (folder: string, method: 'GET' | 'PUT', path: string, body?: unknown) =>
  callControl(await socketPathIn(folder, 'control'), method, path, body, { timeoutMs: answerMsMax })
