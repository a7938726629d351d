import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '@berth/shared/clock'
import { runFront } from './run.ts'

/** Entry of the front's process: `main.ts <server folder>`. */
const [serverFolder] = process.argv.slice(2)
if (serverFolder === undefined) throw new Error('usage: main.ts <server folder>')
await mkdir(join(serverFolder, 'front'), { recursive: true, mode: 0o700 })
const front = await runFront({
  serverFolder,
  clock: systemClock,
  fatal: (error) => {
    process.stderr.write(`front: ${error.message}\n`)
    process.exit(1)
  }
})

let isStopping = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (isStopping) process.exit(0)
    isStopping = true
    front.stop().then(() => process.exit(0))
  })
}
