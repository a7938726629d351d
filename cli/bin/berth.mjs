#!/usr/bin/env node
// What people call. Plain JavaScript that an older Node runs too: it then hands over to the Node 24 that npm installed,
// because only that one runs TypeScript.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const entry = fileURLToPath(new URL('../src/main.ts', import.meta.url))
/** Set for the Node that was handed over to, so that a wrong one cannot hand over forever. */
const marker = 'BERTH_HANDED_OVER'

const isOld = Number(process.versions.node.split('.')[0]) < 24
const wasHandedOver = process.env[marker] !== undefined
delete process.env[marker]

if (!isOld) {
  // Halves the time to start. In a folder of our own: whoever can write there could make us run anything.
  module.enableCompileCache?.(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'berth', 'node'))
  await import('../src/main.ts')
} else handOver(wasHandedOver ? undefined : findNode(dirname(entry)))

function handOver(node) {
  if (!node) {
    console.error(
      `berth: Node 24 or later is needed, this is ${process.versions.node}, and no newer one is installed beside berth; nothing was done. Run npm ci where berth lies, or install Node 24.`
    )
    process.exit(1)
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, [marker]: '1' }
  })
  // Ctrl-C reaches both of us: only the child decides what it means. What only we got is passed on.
  process.on('SIGINT', () => undefined)
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`berth: ${node} cannot be started (${error.code}); nothing was done. Run npm ci where berth lies.`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

/** The Node that npm installed for berth, in the nearest node_modules upwards. */
function findNode(from) {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  for (let folder = from; ; folder = dirname(folder)) {
    for (const inside of ['node/bin/node', '.bin/node']) {
      const candidate = join(folder, 'node_modules', `${inside}${suffix}`)
      if (existsSync(candidate)) return candidate
    }
    if (folder === dirname(folder)) return undefined
  }
}
