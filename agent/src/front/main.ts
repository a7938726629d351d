import { mkdir } from 'node:fs/promises'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { systemClock } from '@berth/shared/clock'

/** Entry of the front's process: `main.ts <server folder>`. */
const [serverFolder] = process.argv.slice(2)
if (serverFolder === undefined) throw new Error('usage: main.ts <server folder>')
await mkdir(join(serverFolder, 'front'), { recursive: true, mode: 0o700 })
// Compiled code is kept, as the time of a start is a time without a front.
enableCompileCache(join(serverFolder, 'front', 'compile-cache'))
const { runFront } = await import('./run.ts')
const front = await runFront({
  serverFolder,
  clock: systemClock,
  fatal: (error) => {
    process.stderr.write(`front: ${error.message}\n`)
    process.exit(1)
  }
})
flushCompileCache()

let isStopping = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (isStopping) process.exit(0)
    isStopping = true
    front.stop().then(() => process.exit(0))
  })
}
