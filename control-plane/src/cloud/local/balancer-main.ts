import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '@berth/shared/clock'
import { serveControl, socketPathIn } from '@berth/shared/control-socket'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { balancer } from './balancer.ts'
import { type BalancerTable, parseTable, parseTableText } from './table.ts'

/** The balancer's process: `balancer-main.ts <its folder>`. It needs nobody; whoever has a new table tells it on its socket. */
const run = async (folder: string) => {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'table.json')
  const written = await readTextIfThere(file)
  const empty: BalancerTable = { format: 1, entry: { port: 1, addresses: [] }, fleets: [], names: {} }
  const balance = balancer({ clock: systemClock, table: written === undefined ? empty : parseTableText(written) })

  const ending = new AbortController()
  process.on('SIGTERM', () => ending.abort())
  process.on('SIGINT', () => ending.abort())

  const running = balance.run(ending.signal)
  const control = await serveControl(await socketPathIn(folder, 'control'), {
    'GET /state': async () => balance.state(),
    'GET /aborted': async () => balance.aborted(),
    'PUT /table': async (body) => {
      const table = parseTable(body)
      // On disk first: what was answered as taken is there after a crash.
      await writeFileAtomic(file, JSON.stringify(table))
      await balance.swap(table)
      return balance.state()
    }
  })
  await running
  await control.close()
  // Connections that are still open end with the process.
  process.exit(0)
}

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: balancer-main.ts <folder>')
await run(folder)
