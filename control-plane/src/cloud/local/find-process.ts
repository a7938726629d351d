import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { findStartTime, type ProcessIdentity } from '@berth/shared/processes'

/** The process that was started with exactly this command and these arguments, if there is one. */
export const findByArguments = async (command: readonly string[]): Promise<ProcessIdentity | undefined> => {
  const pid = process.platform === 'linux' ? await findInProc(command) : await findByPs(command)
  if (pid === undefined) return undefined
  const startTime = await findStartTime(pid)
  return startTime === undefined ? undefined : { pid, startTime }
}

const findInProc = async (command: readonly string[]): Promise<number | undefined> => {
  // Every argument ends in a zero byte.
  const wanted = command.map((argument) => `${argument}\0`).join('')
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (line === wanted) return Number(name)
  }
  return undefined
}

const findByPs = async (command: readonly string[]): Promise<number | undefined> => {
  const output = await new Promise<string>((resolve, reject) => {
    execFile('/bin/ps', ['-axww', '-o', 'pid=,args='], { maxBuffer: 16 * 1024 * 1024 }, (error, stdout) =>
      error ? reject(error) : resolve(stdout)
    )
  })
  const wanted = command.join(' ')
  const line = output.split('\n').find((candidate) => candidate.trim().replace(/^\d+ +/, '') === wanted)
  return line === undefined ? undefined : Number.parseInt(line, 10)
}
