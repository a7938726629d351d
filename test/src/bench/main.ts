import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { findPlays, serverCount } from '../acceptance/stage.ts'
import { allReady, processesOf } from '../system/servers.ts'
import { createSystem, type System } from '../system/system.ts'
import { applicationStartMs } from './application-start.ts'
import { coldStartMs } from './cold-start.ts'
import { findPeers } from './debian.ts'
import { median, percentile, type Row, seconds, tableOf, timeRow } from './figures.ts'
import { comparePeers } from './peers.ts'
import { measureSwitches } from './switches.ts'
import { cpuShare, residentBytes } from './usage.ts'

/** `npm run bench`: prints a table of figures beside their aims. It asserts nothing; a row that could not be measured fails it. */
const parts = ['start', 'switch', 'switch-slow', 'agent', 'peers'] as const
type Part = (typeof parts)[number]

const { values } = parseArgs({ options: { samples: { type: 'string', default: '50' }, only: { type: 'string' } } })
const samples = Number(values.samples)
const wanted = values.only === undefined ? parts : values.only.split(',')
if (!(samples >= 1) || wanted.some((part) => !parts.some((known) => known === part)))
  throw new Error(`usage: npm run bench -- [--samples <number>] [--only ${parts.join(',')}]`)
const isWanted = (part: Part): boolean => wanted.includes(part)

const aims = {
  coldStartMs: 20_000,
  deployMs: 2500,
  rollbackMs: { 0: 1000, 150: 1500 },
  agentBytes: 120e6,
  agentCpu: 0.01
} as const

const quietMs = 15_000
const windowMs = 30_000

const progress = (line: string): void => void process.stderr.write(`bench: ${line}\n`)
const rows: Row[] = []

if (isWanted('start') || isWanted('switch') || isWanted('agent'))
  await withSystem({}, async (system, startMs) => {
    if (isWanted('start')) rows.push(timeRow('cold start to the first served page', startMs, aims.coldStartMs))
    if (isWanted('switch')) rows.push(...(await switchRows(system, 0)))
    if (isWanted('agent')) rows.push(...(await agentRows(system)))
  })
if (isWanted('switch-slow'))
  await withSystem({ BERTH_STORE_LATENCY_MS: '150' }, async (system) => {
    rows.push(...(await switchRows(system, 150)))
  })
if (isWanted('peers')) rows.push(...(await peerRows()))

console.log(`\n${tableOf(rows)}`)
if (rows.some(({ missing }) => missing !== undefined)) process.exitCode = 1

async function withSystem(
  settings: Readonly<Record<string, string>>,
  work: (system: System, startMs: number) => Promise<void>
): Promise<void> {
  const system = await createSystem({ BERTH_SERVERS: String(serverCount), ...settings })
  try {
    progress(`starting a system with ${serverCount} servers ${JSON.stringify(settings)}`)
    const startMs = await coldStartMs(system)
    await allReady(system, serverCount)
    await work(system, startMs)
  } finally {
    await system.destroy()
  }
}

async function switchRows(system: System, latencyMs: 0 | 150): Promise<Row[]> {
  const play = (await findPlays(system)).find(({ name }) => name === 'hello-node')
  if (!play) throw new Error('npm start deployed no hello-node')
  const startMs = await applicationStartMs(serverCount)
  const { deployMs, rollbackMs } = await measureSwitches(system, play, samples, progress)
  const at = `store at ${latencyMs} ms, ${samples} of each`
  return [
    timeRow(`deploy accepted to served on all ${serverCount} servers, p50 (${at})`, median(deployMs)),
    timeRow(`  without the application's own start of ${seconds(startMs)}`, median(deployMs) - startMs, aims.deployMs),
    timeRow(`deploy, p99`, percentile(deployMs, 0.99)),
    timeRow(
      `rollback accepted to served on all ${serverCount} servers, p50 (${at})`,
      median(rollbackMs),
      aims.rollbackMs[latencyMs]
    ),
    timeRow(`rollback, p99`, percentile(rollbackMs, 0.99))
  ]
}

async function agentRows(system: System): Promise<Row[]> {
  progress(`watching idle agents for ${(quietMs + windowMs) / 1000} s`)
  await sleep(quietMs)
  const processes = (await Promise.all((await allReady(system, serverCount)).map(processesOf))).flat()
  const agents = processes.filter(({ role }) => role === 'agent')
  const bytes = Math.max(...(await Promise.all(agents.map(({ pid }) => residentBytes(pid)))))
  const share = Math.max(...(await Promise.all(agents.map(({ pid }) => cpuShare(pid, windowMs)))))
  return [
    {
      what: `agent's memory, the largest of ${agents.length}`,
      figure: `${(bytes / 1e6).toFixed(0)} MB`,
      aim: `≤ ${aims.agentBytes / 1e6} MB`,
      met: bytes <= aims.agentBytes
    },
    {
      what: `agent's share of a core when idle, the largest of ${agents.length}`,
      figure: `${(share * 100).toFixed(2)} %`,
      aim: `≤ ${aims.agentCpu * 100} %`,
      met: share <= aims.agentCpu
    }
  ]
}

async function peerRows(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-bench-'))
  try {
    progress('measuring front and balancer beside nginx')
    return await comparePeers(folder, await findPeers(folder))
  } catch (error) {
    const missing = error instanceof Error ? error.message : String(error)
    return [{ what: 'front and balancer beside nginx', figure: '', missing }]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
