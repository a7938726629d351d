import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Resident memory of a process in bytes, as /proc says. */
export const residentBytes = async (pid: number): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  if (kilobytes === undefined) throw new Error(`/proc/${pid}/status has no VmRSS`)
  return Number(kilobytes) * 1024
}

/** The share of one core that a process used over a window: 0.01 is one per cent. */
export const cpuShare = async (pid: number, windowMs: number): Promise<number> => {
  const [before, startedAt] = [await cpuSeconds(pid), performance.now()]
  await sleep(windowMs)
  return ((await cpuSeconds(pid)) - before) / ((performance.now() - startedAt) / 1000)
}

const cpuSeconds = async (pid: number): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // Fields after the program's name, which is in parentheses and may hold anything: the 12th and 13th are user and system time.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  if (Number.isNaN(ticks)) throw new Error(`cannot read /proc/${pid}/stat`)
  return ticks / ticksPerSecond
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
