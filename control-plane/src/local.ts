import { fileURLToPath } from 'node:url'
import { systemClock } from '@berth/shared/clock'
import { Refusal } from '@berth/shared/refusal'
import { makeProgress } from './local/progress.ts'
import { readSettings } from './local/settings.ts'
import { runSystem } from './local/system.ts'

/** `npm start`: the whole of Berth on this machine, until Ctrl-C. */
const project = fileURLToPath(new URL('../..', import.meta.url))
const clock = systemClock
const progress = makeProgress(process.stdout, () => clock.now().getTime())

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort())

try {
  await runSystem({
    settings: readSettings(process.env),
    project,
    workingFolder: process.cwd(),
    clock,
    progress,
    environment: process.env,
    signal: stopping.signal
  })
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  process.stderr.write(`\nberth: ${error.message}\n`)
  process.exitCode = 1
}
