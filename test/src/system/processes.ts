import { readdir, readFile, readlink } from 'node:fs/promises'

/** A process found alive, and why it belongs to the folder that was asked for. */
export type FoundProcess = { readonly pid: number; readonly command: string; readonly because: string }

/** Every living process but ourselves that names this folder in its arguments or environment, or works in it. */
export const findProcessesOf = async (folder: string): Promise<FoundProcess[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.filter((pid) => pid !== process.pid).map((pid) => lookFor(folder, pid)))
  return found.filter((process) => process !== undefined)
}

const lookFor = async (folder: string, pid: number): Promise<FoundProcess | undefined> => {
  const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')
  const [command, environment, workingFolder, stat] = await Promise.all([
    read('cmdline'),
    read('environ'),
    readlink(`/proc/${pid}/cwd`).catch(() => ''),
    read('stat')
  ])
  // A zombie is dead; its parent has only not asked yet.
  if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')) return undefined
  const because = command.includes(folder)
    ? 'arguments'
    : environment.includes(folder)
      ? 'environment'
      : workingFolder.startsWith(folder)
        ? 'working folder'
        : undefined
  return because && { pid, command: command.replaceAll('\0', ' ').trim(), because }
}
