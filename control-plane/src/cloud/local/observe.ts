import { isAlive, type ProcessIdentity } from '@berth/shared/processes'
import type { ObservedServer } from './plan.ts'
import { hasFolder, type RecordedProcess, readProcesses, serverPaths } from './server-folder.ts'
import type { Service } from './settings.ts'
import type { ServerRow } from './state.ts'
import type { BalancerState } from './table.ts'

/** What a look finds on one server's disk and among the processes. */
export type SeenServer = {
  readonly folder: ObservedServer['folder']
  readonly processes: readonly RecordedProcess[]
  /** Service → its process, for those that run. */
  readonly running: ReadonlyMap<string, ProcessIdentity>
}

/** Looks at one server's disk and services. */
export const seeServer = async (folder: string, services: readonly Service[]): Promise<SeenServer> => {
  if (!(await hasFolder(folder))) return { folder: 'gone', processes: [], running: new Map() }
  const processes = await readProcesses(folder)
  const running = new Map<string, ProcessIdentity>()
  for (const { name } of services) {
    const recorded = processes.find(({ file }) => file === serverPaths(folder).identity(name))
    if (recorded && (await isAlive(recorded))) running.set(name, { pid: recorded.pid, startTime: recorded.startTime })
  }
  return { folder: 'there', processes, running }
}

/** How the balancer finds the servers, kept over the moments in which it does not answer or has just been started. */
export const healthMemory = () => {
  const last = new Map<string, 'healthy' | 'unhealthy'>()
  return {
    note: (state: BalancerState | undefined) => {
      for (const [server, { health }] of Object.entries(state?.servers ?? {})) if (health !== 'starting') last.set(server, health)
    },
    of: (server: string, { proven }: Pick<ServerRow, 'proven'>): ObservedServer['health'] =>
      proven ? (last.get(server) ?? 'unhealthy') : 'starting',
    isHealthy: (server: string): boolean => last.get(server) === 'healthy',
    forget: (server: string) => {
      last.delete(server)
    }
  }
}

/** Whether a server that leaves may be ended: the balancer knows that it leaves and has no connection to it, or its time is over. */
export const isDrained = (
  server: string,
  { retiredAtMs }: Pick<ServerRow, 'retiredAtMs'>,
  {
    balancer,
    table,
    nowMs,
    drainMs
  }: {
    readonly balancer: BalancerState | undefined
    /** Digest of the table that the balancer shall work by. */
    readonly table: string
    readonly nowMs: number
    readonly drainMs: number
  }
): boolean => {
  if (retiredAtMs === undefined) return false
  if (nowMs >= retiredAtMs + drainMs) return true
  return balancer?.table === table && (balancer.servers[server]?.connections ?? 0) === 0
}
