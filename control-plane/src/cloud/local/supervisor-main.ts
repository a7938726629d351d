import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '@berth/shared/clock'
import { serveControl } from '@berth/shared/control-socket'
import { findStartTime, writeIdentity } from '@berth/shared/processes'
import { balancerProcess } from './balancer-process.ts'
import { openState } from './cloud-files.ts'
import { handlers } from './handlers.ts'
import { parseSupervisorSettings } from './settings.ts'
import { supervise } from './supervise.ts'
import { findSupervisor, supervisorPaths } from './supervisor.ts'

const periodMs = 500

/** The supervisor's process: `supervisor-main.ts <cloud folder>`. Its end by SIGTERM ends the cloud; any other end, nothing. */
const run = async (folder: string) => {
  const clock = systemClock
  const paths = await supervisorPaths(folder)
  const log = (line: string) => void process.stdout.write(`${clock.now().toISOString()} ${line}\n`)

  const startTime = await findStartTime(process.pid)
  if (startTime === undefined) throw new Error('this system does not tell when our own process started')
  const self = { pid: process.pid, startTime }
  const other = await findSupervisor(folder)
  if (other && other.identity.pid !== self.pid)
    throw new Error(`process ${other.identity.pid} supervises ${folder} already; nothing was done`)
  await writeIdentity(paths.identity, self)
  await mkdir(join(folder, 'servers'), { recursive: true, mode: 0o711 })

  const settings = parseSupervisorSettings(await readFile(paths.settings))
  const balancer = balancerProcess({ cloudFolder: folder, settings, clock, log })
  const deps = { folder, settings, ...(await openState(folder, settings.loopback)), balancer, clock, log }
  const supervision = supervise(deps)

  const ending = new AbortController()
  let waiting = new AbortController()
  const wake = () => waiting.abort()
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      ending.abort()
      wake()
    })

  let lastProblem = ''
  const look = async () => {
    // Whatever is declared from here on is seen by the look after this one.
    waiting = new AbortController()
    try {
      await supervision.look()
      lastProblem = ''
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      if (problem !== lastProblem) log(`look failed, the next one tries again: ${problem}`)
      lastProblem = problem
    }
  }

  log('supervisor started')
  // Nobody is answered before the first look: without it we would call servers sick that we have not asked after.
  await look()
  const control = await serveControl(paths.socket, handlers(deps, supervision, self, wake))
  while (!ending.signal.aborted) {
    await clock.wait(periodMs, waiting.signal)
    if (!ending.signal.aborted) await look()
  }

  log('ending every server')
  await supervision.stop()
  await control.close()
  log('supervisor ended')
}

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: supervisor-main.ts <cloud folder>')
await run(folder)
