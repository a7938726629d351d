import { rename, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Clock } from '@berth/shared/clock'
import { isAlive, type ProcessIdentity, signalProcess, startDetached, stopProcess, writeIdentity } from '@berth/shared/processes'
import { findByArguments } from './find-process.ts'
import { type RecordedProcess, readProcesses, serverPaths } from './server-folder.ts'
import type { Service } from './settings.ts'

const logBytesMax = 10 * 1024 * 1024
const roundsMax = 5

/** Starts one service of a server, on its own, and remembers it on the server's disk. */
export const startService = async (folder: string, service: Service, env: Readonly<Record<string, string>>) => {
  const paths = serverPaths(folder)
  await rotate(paths.log(service.name))
  const identity = await startDetached({
    command: service.command,
    args: argumentsOf(folder, service),
    cwd: folder,
    env,
    logFile: paths.log(service.name)
  })
  await writeIdentity(paths.identity(service.name), identity)
  return identity
}

/** A service's process, also when a supervisor died between starting it and writing it down. */
export const findUnrecorded = (folder: string, service: Service): Promise<ProcessIdentity | undefined> =>
  findByArguments([service.command, ...argumentsOf(folder, service)])

const argumentsOf = (folder: string, { args }: Service) => [...args, folder]

/** Keeps one older log, so that a service that talks cannot fill the disk. */
const rotate = async (log: string) => {
  const size = await stat(log).then(
    (found) => found.size,
    () => 0
  )
  if (size > logBytesMax) await rename(log, `${log}.1`)
}

export type EndOptions = {
  readonly folder: string
  readonly services: readonly Service[]
  /** Known from before, in case that the folder tells of them no more. */
  readonly remembered: readonly ProcessIdentity[]
  readonly graceMs: number
  readonly clock: Clock
}

/**
 * Ends everything that runs on a server. The services go first, so that nobody starts anything any more; then the keepers,
 * which end their workers in an orderly way; then whatever is left, stopped and frozen processes too.
 */
export const endProcesses = async ({ folder, services, remembered, graceMs, clock }: EndOptions): Promise<void> => {
  const serviceFiles = new Set(services.map(({ name }) => serverPaths(folder).identity(name)))
  const isService = ({ file }: RecordedProcess) => serviceFiles.has(file)
  const isKeeper = ({ file }: RecordedProcess) => basename(file).startsWith('keeper')
  const end = (processes: readonly ProcessIdentity[], group: boolean) =>
    Promise.all(processes.map((process) => stopProcess(process, { graceMs, group, clock })))

  const unrecorded = await Promise.all(services.map((service) => findUnrecorded(folder, service)))
  await end(
    unrecorded.filter((found) => found !== undefined),
    false
  )
  for (let round = 0; round < roundsMax; round++) {
    const recorded = await alive(await readProcesses(folder))
    await end(recorded.filter(isService), false)
    const left = await alive(await readProcesses(folder))
    await end(left.filter(isKeeper), false)
    const rest = [...(await alive(await readProcesses(folder))), ...(await alive(remembered))]
    if (rest.length === 0) return
    // A stopped process cannot act on anything before it goes on.
    await Promise.all(rest.map((process) => signalProcess(process, 'SIGCONT', { group: true })))
    await end(rest, true)
  }
  throw new Error(`the processes of ${folder} did not end: something keeps starting new ones`)
}

const alive = async <T extends ProcessIdentity>(processes: readonly T[]): Promise<T[]> => {
  const flags = await Promise.all(processes.map(isAlive))
  return processes.filter((_, index) => flags[index])
}
