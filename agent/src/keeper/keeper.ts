import type { Clock } from '@berth/shared/clock'
import { serveControl, socketPathIn } from '@berth/shared/control-socket'
import { isTakenByOther } from '@berth/shared/listeners'
import { isAlive, type ProcessIdentity, signalProcess, stopProcess, writeIdentity } from '@berth/shared/processes'
import { Refusal } from '@berth/shared/refusal'
import { crashesMax, restartDelayMs, withinWindow } from './crashes.ts'
import { boundLog } from './log.ts'
import { type Memory, openMemory } from './memory.ts'
import { type KeeperSpec, type KeptWorker, poolFiles, readSpec, takeFolder } from './pool-folder.ts'
import { adoptWorker, type Ending, endGroup, type RunningWorker, startWorker, untilListening, userOf } from './worker.ts'

const logEveryMs = 2000

/**
 * Keeps the workers of one pool running. Answers nothing when another keeper already does. `stop` ends the workers.
 * Everything it knows lies in the folder, so that the next keeper carries on where a killed one left off.
 */
export const runKeeper = async (
  folder: string,
  { clock, self }: { readonly clock: Clock; readonly self: ProcessIdentity }
): Promise<{ readonly stop: () => Promise<void> } | undefined> => {
  const spec = await readSpec(folder)
  if (!spec) throw new Refusal('no_spec', `no pool is described in ${folder}; nothing was started`)
  if (!(await takeFolder(folder, self))) return undefined

  const memory = await openMemory(folder, spec)
  const pool = keptPool({ folder, spec, memory, clock })
  await pool.adopt()
  await memory.change({ socket: await socketPathIn(folder, 'keeper') })
  const control = await serveControl(memory.state().socket, {
    'GET /state': async () => memory.state(),
    'POST /freeze': pool.freeze,
    'POST /thaw': pool.thaw
  })
  const slots = memory.state().workers.map((_, slot) => pool.keep(slot))
  const stopping = new AbortController()
  void boundLogs(spec.logFile, clock, stopping.signal)

  return {
    stop: async () => {
      stopping.abort()
      await pool.end()
      await Promise.all(slots)
      await memory.change({})
      await control.close()
    }
  }
}

type Kept = { readonly folder: string; readonly spec: KeeperSpec; readonly memory: Memory; readonly clock: Clock }

const keptPool = ({ folder, spec, memory, clock }: Kept) => {
  const running = new Map<number, RunningWorker>()
  // Aborted when the pool is given up or stopped: nothing is started any more.
  const over = new AbortController()

  const end = async (): Promise<void> => {
    over.abort()
    await Promise.all([...running.values()].map(endWorker))
  }
  const endWorker = ({ process }: RunningWorker): Promise<void> =>
    stopProcess(process, { graceMs: spec.shutdownTimeLimitMs, group: true, clock })

  const signalAll = (signal: NodeJS.Signals) =>
    Promise.all([...running.values()].map(({ process }) => signalProcess(process, signal, { group: true })))

  const thaw = async (): Promise<void> => {
    await signalAll('SIGCONT')
    if (memory.state().state === 'frozen') await memory.change({ state: 'running' })
  }
  const freeze = async (): Promise<void> => {
    const { state, workers } = memory.state()
    if (state !== 'frozen' && !(state === 'running' && workers.every(({ ready }) => ready)))
      throw new Refusal('not_running', 'not every worker of this pool is ready; nothing was frozen')
    // Written first: whoever carries on after a kill in between freezes what shall be frozen.
    await memory.change({ state: 'frozen' })
    await signalAll('SIGSTOP')
  }

  /** Takes over the workers that a former keeper left running. */
  const adopt = async (): Promise<void> => {
    for (const [slot, { process }] of memory.state().workers.entries()) {
      if (process && (await isAlive(process))) running.set(slot, adoptWorker(process, clock))
      else await memory.changeWorker(slot, { process: undefined, ready: false })
    }
    if (memory.state().state !== 'frozen') return
    // A pool that lost a worker runs until it is whole again; the agent freezes it then.
    if (running.size < memory.state().workers.length) await thaw()
    else await signalAll('SIGSTOP')
  }

  const start = async (slot: number, { port }: KeptWorker): Promise<RunningWorker | { readonly failed: Ending }> => {
    const worker = await startWorker(spec, port, poolFiles(folder).temporary)
    if ('failed' in worker) return worker
    running.set(slot, worker)
    await writeIdentity(poolFiles(folder).worker(slot), worker.process)
    await memory.changeWorker(slot, { process: worker.process })
    return worker
  }

  /** Follows one worker to its end, and answers how it ended. */
  const follow = async (slot: number, worker: RunningWorker, port: number): Promise<Ending> => {
    const gone = new AbortController()
    const ended = worker.ended.finally(() => gone.abort())
    let isLate = false
    if (memory.state().workers[slot]?.ready !== true) {
      const limit = clock.wait(spec.startupMs, gone.signal).then(() => false)
      const listens = await Promise.race([untilListening(spec, port, clock, gone.signal), limit])
      isLate = !listens && !gone.signal.aborted
      if (isLate) endGroup(worker.process)
      if (listens) await becomeReady(slot)
    }
    const ending = await ended
    endGroup(worker.process)
    return isLate ? `accepted no connection on ${spec.address}:${port} within ${spec.startupMs} ms` : ending
  }

  const becomeReady = async (slot: number): Promise<void> => {
    await memory.changeWorker(slot, { ready: true })
    const { state, workers } = memory.state()
    if (state === 'starting' && workers.every(({ ready }) => ready)) await memory.change({ state: 'running' })
  }

  /** A slot's whole life: start or adopt, follow, count the death, wait, again. */
  const keep = async (slot: number): Promise<void> => {
    for (;;) {
      const kept = memory.state().workers[slot]
      if (!kept || over.signal.aborted) return
      const worker = running.get(slot) ?? (await start(slot, kept))
      // Whoever ended the pool meanwhile did not see this worker.
      if (over.signal.aborted && !('failed' in worker)) await endWorker(worker)
      const ending = 'failed' in worker ? worker.failed : await follow(slot, worker, kept.port)
      running.delete(slot)
      await clock.wait(await countDeath(slot, ending), over.signal)
    }
  }

  /** Answers how long to wait before the next start; gives the pool up when there shall be none. */
  const countDeath = async (slot: number, ending: Ending): Promise<number> => {
    const wasReady = memory.state().workers[slot]?.ready === true
    await memory.changeWorker(slot, { process: undefined, ready: false })
    if (over.signal.aborted) return 0
    // What lost a worker is no frozen pool: it runs until it is whole again, and the agent freezes it then.
    if (memory.state().state === 'frozen') await thaw()
    const now = clock.now().getTime()
    const deaths = withinWindow([...memory.state().deaths, now], now)
    const delayMs = restartDelayMs(deaths)
    if (delayMs !== undefined) {
      await memory.change({ deaths, restarts: memory.state().restarts + 1 })
      return delayMs
    }
    const when = wasReady ? '' : ' before it was ready'
    const port = memory.state().workers[slot]?.port ?? 0
    const taken = (await isTakenByOther(spec.address, port, userOf(spec)))
      ? `, while another user listened on its port ${port}`
      : ''
    const message = `a worker ${ending}${when}${taken}; that was the end number ${crashesMax} within 5 minutes, and the pool was given up`
    await memory.change({ deaths, state: 'crashed', reason: { code: 'crashed', message } })
    await end()
    return 0
  }

  return { adopt, keep, freeze, thaw, end }
}

const boundLogs = async (file: string, clock: Clock, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    await boundLog(file).catch((error: Error) => process.stderr.write(`keeper: cannot bound ${file}: ${error.message}\n`))
    await clock.wait(logEveryMs, signal)
  }
}
