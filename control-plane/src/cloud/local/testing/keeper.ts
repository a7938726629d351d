import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { writeFileAtomic } from '@berth/shared/files'
import { findStartTime, type ProcessIdentity, writeIdentity } from '@berth/shared/processes'

/*
 * A stand-in for a pool keeper with three workers: one ends with the keeper, one ignores SIGTERM, one is frozen. It tells of
 * two in one file, with more beside the identities, as the real one may.
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
  workers.push({ pid, startTime: (await findStartTime(pid)) ?? '' })
}
const stays = 'setInterval(() => {}, 1000)'
await start(stays)
await start(`process.on('SIGTERM', () => {}); ${stays}`)
await start(stays)
const [polite, stubborn, frozen] = workers
if (!polite || !stubborn || !frozen) throw new Error('three workers were started')
process.kill(frozen.pid, 'SIGSTOP')
await writeIdentity(join(folder, 'stubborn.json'), stubborn)
await writeFileAtomic(
  join(folder, 'workers.json'),
  JSON.stringify({ generation: 3, workers: [polite, frozen].map((worker) => ({ ...worker, port: 1 })) })
)
if (isEnding) process.exit(0)
setInterval(() => undefined, 1000)
