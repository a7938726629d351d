import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { connect } from 'node:net'
import type { Clock } from '@berth/shared/clock'
import { isTakenByOther } from '@berth/shared/listeners'
import { findStartTime, isAlive, type ProcessIdentity } from '@berth/shared/processes'
import { openLog } from './log.ts'
import type { KeeperSpec } from './pool-folder.ts'

/** How a worker ended, in words. */
export type Ending = string

/** One worker process, ours or a former keeper's. */
export type RunningWorker = {
  readonly process: ProcessIdentity
  /** Resolves when it is gone; never rejects. */
  readonly ended: Promise<Ending>
}

const adoptedPollMs = 100
const listenPollMs = 20

/** Starts a worker in a process group of its own, with nothing of our environment, as the pool's user. */
export const startWorker = async (
  spec: KeeperSpec,
  port: number,
  temporary: string
): Promise<RunningWorker | { readonly failed: Ending }> => {
  const [program = '', ...args] = spec.command
  const log = await openLog(spec.logFile)
  try {
    const child = spawn(program, args, {
      cwd: spec.cwd,
      env: { ...spec.env, HOST: spec.address, PORT: String(port), HOME: temporary, TMPDIR: temporary },
      detached: true,
      stdio: ['ignore', log, log],
      ...spec.identity
    })
    const ended = new Promise<Ending>((resolve) => {
      child.once('error', (error) => resolve(`could not be started: ${error.message}`))
      child.once('exit', (code, signal) => resolve(signal === null ? `ended with exit code ${code}` : `ended by ${signal}`))
    })
    const startTime = child.pid === undefined ? undefined : await findStartTime(child.pid)
    if (child.pid === undefined || startTime === undefined) return { failed: await ended }
    return { process: { pid: child.pid, startTime }, ended }
  } catch (error) {
    return { failed: `could not be started: ${error instanceof Error ? error.message : String(error)}` }
  } finally {
    closeSync(log)
  }
}

/** A worker that a former keeper started: the system tells us nothing of its end, so we look. */
export const adoptWorker = (process: ProcessIdentity, clock: Clock): RunningWorker => {
  const untilGone = async () => {
    while (await isAlive(process)) await clock.wait(adoptedPollMs)
    return 'ended'
  }
  return { process, ended: untilGone() }
}

/** Resolves to true once the pool's own user listens there; to false when `signal` ends the wait. */
export const untilListening = async (spec: KeeperSpec, port: number, clock: Clock, signal: AbortSignal): Promise<boolean> => {
  while (!signal.aborted) {
    // Whoever else took the port would get this pool's requests.
    if ((await accepts(spec.address, port)) && !(await isTakenByOther(spec.address, port, userOf(spec)))) return true
    await clock.wait(listenPollMs, signal)
  }
  return false
}

/** The user that a pool's workers run as, where the system has users. */
export const userOf = ({ identity }: KeeperSpec): number | undefined => identity?.uid ?? process.getuid?.()

/** Ends whatever is left of a worker's group: a child that kept the port would keep its successor from starting. */
export const endGroup = ({ pid }: ProcessIdentity): void => {
  try {
    // A worker leads its own group, so that its number is the group's as long as anybody is in it.
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // Gone already, or (macOS) only zombies are left in it.
    if (!(error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM'))) throw error
  }
}

const accepts = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port })
    const answer = (accepted: boolean) => {
      socket.destroy()
      resolve(accepted)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
