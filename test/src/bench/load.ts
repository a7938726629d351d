import { run } from '../system/run.ts'
import { plainEnvironment } from '../system/system.ts'
import type { Peers } from './debian.ts'

export type Load = { readonly requestsPerSecond: number; readonly errors: number }

/** wrk with one thread and 32 connections, on the second core where there is one: the first is for who is measured. */
export const loadWith = async (
  peers: Peers,
  url: string,
  { host, seconds }: { host: string; seconds: number }
): Promise<Load> => {
  const args = ['-c', '1', peers.wrk, '-t1', '-c32', `-d${seconds}s`, '-H', `Host: ${host}`, url]
  const { code, stdout, stderr } = await run('taskset', args, {
    env: peers.environment,
    cwd: '/',
    timeoutMs: (seconds + 30) * 1000
  })
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]
  if (code !== 0 || rate === undefined) throw new Error(`wrk failed: ${stdout}${stderr}`)
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? '0'
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1) ?? []
  return { requestsPerSecond: Number(rate), errors: [bad, ...socket].reduce((sum, text) => sum + Number(text), 0) }
}

/** Keeps a process, with all its threads, on these cores. */
export const pin = async (pid: number, cores: string): Promise<void> => {
  const { code, stderr } = await run('taskset', ['-a', '-c', '-p', cores, String(pid)], { env: plainEnvironment(), cwd: '/' })
  if (code !== 0) throw new Error(`cannot pin process ${pid}: ${stderr.trim()}`)
}
