import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { findStartTime, type ProcessIdentity, writeIdentity } from '@berth/shared/processes'

/*
 * A stand-in for a pool keeper with three workers: one ends with the keeper, one ignores SIGTERM, one is frozen.
 */
const folder = process.argv.at(-1) ?? '.'
const workers: ProcessIdentity[] = []
let isEnding = false

process.on('SIGTERM', () => {
  isEnding = true
  const [polite] = workers
  if (polite) process.kill(polite.pid, 'SIGKILL')
  if (workers.length === 3) process.exit(0)
})

const start = async (script: string) => {
  const child = spawn(process.execPath, ['-e', script, folder], { detached: true, stdio: 'ignore' })
  const pid = child.pid ?? 0
  const worker = { pid, startTime: (await findStartTime(pid)) ?? '' }
  await writeIdentity(join(folder, `worker-${workers.length}.process.json`), worker)
  workers.push(worker)
}
const stays = 'setInterval(() => {}, 1000)'
await start(stays)
await start(`process.on('SIGTERM', () => {}); ${stays}`)
await start(stays)
const [, , frozen] = workers
if (frozen) process.kill(frozen.pid, 'SIGSTOP')
if (isEnding) process.exit(0)
setInterval(() => undefined, 1000)
