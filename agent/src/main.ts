import { mkdir } from 'node:fs/promises'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { join } from 'node:path'

/** Entry of the agent's process: `main.ts <server folder>`. SIGTERM ends it and touches no pool. */
const [serverFolder] = process.argv.slice(2)
if (serverFolder === undefined) throw new Error('usage: main.ts <server folder>')
const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort())

await mkdir(join(serverFolder, 'state'), { recursive: true, mode: 0o700 })
// With its code compiled already, an agent starts in a third of the time and needs a quarter less memory.
enableCompileCache(join(serverFolder, 'state', 'compile-cache'))
const { runAgent } = await import('./run.ts')
await runAgent(serverFolder, stop.signal, flushCompileCache)
