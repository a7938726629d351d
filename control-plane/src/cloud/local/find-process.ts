import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { findStartTime, type ProcessIdentity } from '@berth/shared/processes'

/**
 * Our own user's process that was started with exactly this command and these arguments, if there is one. Anybody can start a
 * process under such arguments: another user's is nobody whom we know.
 */
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
    if (line === wanted && (await isOurs(name))) return Number(name)
  }
  return undefined
}

/** By all its identities, as the kernel tells them; the owner of its folder in /proc may be made to be root. */
const isOurs = async (pid: string): Promise<boolean> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const uids = /^Uid:\t([\d\t]+)$/m.exec(status)?.[1]?.split('\t') ?? []
  return uids.length === 4 && uids.every((uid) => Number(uid) === process.getuid?.())
}

const findByPs = async (command: readonly string[]): Promise<number | undefined> => {
  const output = await new Promise<string>((resolve, reject) => {
    execFile('/bin/ps', ['-axww', '-o', 'pid=,uid=,args='], { maxBuffer: 16 * 1024 * 1024 }, (error, stdout) =>
      error ? reject(error) : resolve(stdout)
    )
  })
  const wanted = command.join(' ')
  for (const line of output.split('\n')) {
    const [, pid, uid, command] = /^ *(\d+) +(\d+) +(.*)$/.exec(line.trimEnd()) ?? []
    if (command === wanted && Number(uid) === process.getuid?.()) return Number(pid)
  }
  return undefined
}
