import { execFile, spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { Clock } from './clock.ts'
import { readTextIfThere, writeFileAtomic } from './files.ts'
import { Refusal } from './refusal.ts'

/** A process that can be found again: its number alone may be another's by now, with its start time it is nobody else's. */
export type ProcessIdentity = { readonly pid: number; readonly startTime: string }

export type StartOptions = {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  /** The whole environment; nothing of ours is inherited. */
  readonly env: Readonly<Record<string, string>>
  /** Standard output and error are appended here. */
  readonly logFile: string
  readonly uid?: number
  readonly gid?: number
}

// The shell forks the command and ends, so that the command is nobody's child and leaves no zombie with us. Its number
// comes through descriptor 3, which the command itself never sees.
const forkAndTell = '"$@" 3>&- & echo $! >&3'
const pollMs = 20
const killedGoneMsMax = 10_000

/** Starts a process in a session of its own that outlives us: our death, and Ctrl-C in our terminal, do not reach it. */
export const startDetached = async ({ command, args, cwd, env, logFile, uid, gid }: StartOptions): Promise<ProcessIdentity> => {
  const log = await open(logFile, 'a', 0o600)
  try {
    const shell = spawn('/bin/sh', ['-c', forkAndTell, 'sh', command, ...args], {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', log.fd, log.fd, 'pipe'],
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid })
    })
    const ended = new Promise<void>((resolve, reject) => {
      shell.once('error', reject)
      shell.once('close', () => resolve())
    })
    // Descriptor 3 was opened as a pipe above, so the stream is there and readable.
    const [told] = await Promise.all([text(shell.stdio[3] as NodeJS.ReadableStream), ended])
    const pid = Number.parseInt(told, 10)
    const startTime = Number.isNaN(pid) ? undefined : await findStartTime(pid)
    if (startTime === undefined) throw new Error(`${command} ended as soon as it was started; its output is in ${logFile}`)
    return { pid, startTime }
  } finally {
    await log.close()
  }
}

/** When the process with this number started, as text that only means something when compared; nothing when it is not alive. */
export const findStartTime = async (pid: number): Promise<string | undefined> => (await look(pid))?.startTime

/** Whether this very process still runs. One that ended and was not yet buried (a zombie) does not. */
export const isAlive = async (identity: ProcessIdentity): Promise<boolean> => (await lookAt(identity)) !== undefined

/** Sends a signal to this very process, or to its whole group; answers false when it is no more. */
export const signalProcess = async (
  identity: ProcessIdentity,
  signal: NodeJS.Signals,
  { group = false }: { readonly group?: boolean } = {}
): Promise<boolean> => {
  const found = await lookAt(identity)
  return found !== undefined && send(group ? groupOf(found.group) : identity.pid, signal)
}

/** Asks a process to end, waits, and then makes it end. Resolves when it is gone; one that is gone already is a success. */
export const stopProcess = async (
  identity: ProcessIdentity,
  { graceMs, group = false, clock }: { readonly graceMs: number; readonly group?: boolean; readonly clock: Clock }
): Promise<void> => {
  const found = await lookAt(identity)
  if (!found) return
  const target = group ? groupOf(found.group) : identity.pid
  send(target, 'SIGTERM')
  // A stopped process acts on SIGTERM only once it goes on.
  send(target, 'SIGCONT')
  if (!(await isGoneWithin(identity, graceMs, clock))) {
    await signalProcess(identity, 'SIGKILL')
    if (!(await isGoneWithin(identity, killedGoneMsMax, clock)))
      throw new Error(`process ${identity.pid} did not end within ${killedGoneMsMax} ms after SIGKILL`)
  }
  // What the process itself had started may have outlived it; the group's number is not reused as long as anybody is in it.
  if (group) send(target, 'SIGKILL')
}

/** The identity that was written to this file, or nothing when there is no file. */
export const readIdentity = async (file: string): Promise<ProcessIdentity | undefined> => {
  const written = await readTextIfThere(file)
  return written === undefined ? undefined : parseIdentity(written)
}

/** Remembers a process on disk, so that it can be adopted by whoever comes after us. */
export const writeIdentity = (file: string, { pid, startTime }: ProcessIdentity): Promise<void> =>
  writeFileAtomic(file, `${JSON.stringify({ pid, startTime })}\n`)

// By hand, not by a schema: every pool's keeper imports this file, and a schema compiler would be most of its memory.
const parseIdentity = (text: string): ProcessIdentity => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new Refusal('bad_identity', 'a process identity: not JSON', { cause })
  }
  if (!isIdentity(value)) throw new Refusal('bad_identity', 'a process identity: holds no process number and start time')
  return { pid: value.pid, startTime: value.startTime }
}

const isIdentity = (value: unknown): value is ProcessIdentity =>
  typeof value === 'object' &&
  value !== null &&
  'pid' in value &&
  Number.isInteger(value.pid) &&
  Number(value.pid) > 0 &&
  'startTime' in value &&
  typeof value.startTime === 'string' &&
  value.startTime !== ''

type Seen = { readonly startTime: string; readonly group: number }

const lookAt = async (identity: ProcessIdentity): Promise<Seen | undefined> => {
  const found = await look(identity.pid)
  return found?.startTime === identity.startTime ? found : undefined
}

const look = (pid: number): Promise<Seen | undefined> => (process.platform === 'linux' ? lookInProc(pid) : lookByPs(pid))

const lookInProc = async (pid: number): Promise<Seen | undefined> => {
  let stat: string
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return undefined
    throw error
  }
  // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
  const [state, , group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const startTime = rest[16]
  const threads = Number(rest[14])
  if (state === undefined || group === undefined || startTime === undefined) throw new Error(`cannot read /proc/${pid}/stat`)
  // A killed process whose first thread ended before the others still holds its files and ports: it is not gone yet.
  return (state === 'Z' && threads <= 1) || state === 'X' ? undefined : { startTime, group: Number(group) }
}

const lookByPs = async (pid: number): Promise<Seen | undefined> => {
  const line = await new Promise<string>((resolve, reject) => {
    execFile('/bin/ps', ['-o', 'stat=,pgid=,lstart=', '-p', String(pid)], { env: { LC_ALL: 'C', TZ: 'UTC' } }, (error, output) =>
      // `ps` answers 1 when there is no such process.
      error && error.code !== 1 ? reject(error) : resolve(output.trim())
    )
  })
  const [state, group, ...start] = line.split(/\s+/)
  if (!state || group === undefined || state.startsWith('Z')) return undefined
  return { startTime: start.join(' '), group: Number(group) }
}

/** The number by which a group is signalled. Group 0 and 1 would mean our own group and everybody. */
const groupOf = (group: number): number => {
  if (!(group > 1)) throw new Error(`refusing to signal the process group ${group}`)
  return -group
}

const send = (target: number, signal: NodeJS.Signals): boolean => {
  try {
    return process.kill(target, signal)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}

const isGoneWithin = async (identity: ProcessIdentity, ms: number, clock: Clock): Promise<boolean> => {
  const deadline = clock.now().getTime() + ms
  while (await isAlive(identity)) {
    if (clock.now().getTime() >= deadline) return false
    await clock.wait(pollMs)
  }
  return true
}
