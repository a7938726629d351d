import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, readdir, readFile, readlink, rm, rmdir } from 'node:fs/promises'
import type { Clock } from './clock.ts'
import { Refusal } from './refusal.ts'

/*
 * What is done to processes and files of another user. Root never walks a tree that somebody else may change under its
 * feet: a folder swapped for a link would lead it anywhere.
 */

const goneMsMax = 10_000
const pollMs = 20

/** Numbers of the living processes of this user, where the system tells (Linux); with `environment`, those started with this entry only. */
export const processesOfUser = async (uid: number, environment?: string): Promise<number[]> => {
  if (process.platform !== 'linux') return []
  const pids = (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name)).map(Number)
  const found: number[] = []
  for (const pid of pids) {
    const status = await readGone(`/proc/${pid}/status`)
    const uids = /^Uid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? []
    // A zombie does nothing any more; who started it buries it.
    if (!uids.includes(String(uid)) || /^State:\s*[ZX]/m.test(status)) continue
    if (environment === undefined || (await readGone(`/proc/${pid}/environ`)).split('\0').includes(environment)) found.push(pid)
  }
  return found
}

/** The living processes of this user that hold the socket with this number. */
export const holdersOf = async (uid: number, inode: string): Promise<number[]> => {
  const found: number[] = []
  for (const pid of await processesOfUser(uid)) {
    const folder = `/proc/${pid}/fd`
    const names = await readdir(folder).catch(() => [])
    const links = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => '')))
    if (links.includes(`socket:[${inode}]`)) found.push(pid)
  }
  return found
}

/** Signals each of these processes; those that are gone, or (without being root) are not ours, are passed over. */
export const signalEach = (pids: readonly number[], signal: NodeJS.Signals): void => {
  for (const pid of pids)
    try {
      process.kill(pid, signal)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM'))) throw error
    }
}

/** Ends every process of another user, however it got away from its group; resolves when none is left. Root's call. */
export const endUser = async ({ uid, gid }: { readonly uid: number; readonly gid: number }, clock: Clock): Promise<void> => {
  if (uid === 0 || uid === process.getuid?.()) throw new Error(`refusing to end every process of the user ${uid}`)
  const deadline = clock.now().getTime() + goneMsMax
  for (;;) {
    // As that user, "everybody" is all of that user in one step, so that nobody can fork away from it.
    await runAs({ uid, gid }, '/', 'kill -KILL -1')
    const left = await processesOfUser(uid)
    if (left.length === 0) return
    signalEach(left, 'SIGKILL')
    if (clock.now().getTime() >= deadline) throw new Error(`processes of the user ${uid} did not end within ${goneMsMax} ms`)
    await clock.wait(pollMs)
  }
}

/**
 * Removes a folder that may be another user's, in a folder that is ours: its content goes as its owner, and only the empty
 * folder by us.
 */
export const removeOwnedFolder = async (folder: string): Promise<void> => {
  const info = await lstat(folder).catch(undefinedWhenMissing)
  if (!info) return
  if (info.uid === process.getuid?.() || process.getuid === undefined) return rm(folder, { recursive: true, force: true })
  await runAs(info, folder, 'chmod -R u+rwX . ; find . -mindepth 1 -delete')
  await rmdir(folder).catch((cause) => {
    throw new Refusal('not_removed', `${folder} could not be emptied as its owner ${info.uid}; it was left`, { cause })
  })
}

/** Runs a line of shell as another user; how it ends is for the caller to look at. */
const runAs = async ({ uid, gid }: { readonly uid: number; readonly gid: number }, cwd: string, line: string): Promise<void> => {
  const env = { PATH: '/usr/bin:/bin' }
  const child = spawn('/bin/sh', ['-c', line], { cwd, env, uid, gid, detached: true, stdio: 'ignore' })
  await once(child, 'exit').catch(() => undefined)
}

const readGone = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '')

const undefinedWhenMissing = (error: unknown): undefined => {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
