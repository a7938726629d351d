import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isAlive, readIdentity, startDetached, writeIdentity } from '@berth/shared/processes'

/*
 * A stand-in for a server's agent: it keeps one keeper running, adopted after its own death. It reads its birth record and
 * its machine as the real one does.
 */
const folder = process.argv.at(-1) ?? '.'
JSON.parse(readFileSync(join(folder, 'birth.json'), 'utf8'))
JSON.parse(readFileSync(join(folder, 'machine.json'), 'utf8'))
const run = join(folder, 'run', 'pool-1')
await mkdir(run, { recursive: true })

const keeper = await readIdentity(join(run, 'keeper-1.process.json'))
if (!keeper || !(await isAlive(keeper))) {
  const identity = await startDetached({
    command: process.execPath,
    args: [fileURLToPath(new URL('./keeper.ts', import.meta.url)), run],
    cwd: folder,
    env: {},
    logFile: join(folder, 'logs', 'keeper.log')
  })
  await writeIdentity(join(run, 'keeper-1.process.json'), identity)
}
setInterval(() => undefined, 1000)
process.on('SIGTERM', () => process.exit(0))
