import { flushCompileCache } from 'node:module'
import { systemClock } from '@berth/shared/clock'
import { findStartTime } from '@berth/shared/processes'
import { runKeeper } from './keeper.ts'

/** Entry of a keeper's process: `main.ts <pool folder>`. */
const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: main.ts <pool folder>')
const startTime = await findStartTime(process.pid)
if (startTime === undefined) throw new Error('this process cannot find itself; no pool is kept')
const keeper = await runKeeper(folder, { clock: systemClock, self: { pid: process.pid, startTime } })
if (!keeper) process.exit(0)
// A process that is made to live on writes its compiled code now: with it, the next keeper starts at a fraction of time and memory.
flushCompileCache()

let isStopping = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (isStopping) return
    isStopping = true
    keeper.stop().then(() => process.exit(0))
  })
}
