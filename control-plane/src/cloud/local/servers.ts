import { join } from 'node:path'
import type { Clock } from '@berth/shared/clock'
import { writeIdentity } from '@berth/shared/processes'
import { changeServer, removeServer } from './changes.ts'
import type { SeenServer } from './observe.ts'
import { died, type ServiceLife, started } from './restarts.ts'
import { copyKey, makeServerFolder, removeServerFolder, serverPaths } from './server-folder.ts'
import { endProcesses, findUnrecorded, startService } from './services.ts'
import type { Service, SupervisorSettings } from './settings.ts'
import type { CloudState, ServerRow, StateFile } from './state.ts'

/** Births, runs, reboots and removes single servers: each a folder and the services in it. */
export const servers = ({
  folder,
  settings,
  state,
  clock,
  log
}: {
  readonly folder: string
  readonly settings: SupervisorSettings
  readonly state: StateFile<CloudState>
  readonly clock: Clock
  readonly log: (line: string) => void
}) => {
  const lives = new Map<string, ServiceLife>()
  const problems = new Map<string, string>()
  /** Work on one server that takes longer than a look. */
  const under = new Map<string, Promise<void>>()
  const folderOf = (server: string) => join(folder, 'servers', server)
  const nowMs = () => clock.now().getTime()

  /** Does something for one server; what goes wrong is that server's problem and nobody else's. */
  const attempt = async (server: string, work: () => Promise<unknown>) => {
    try {
      await work()
      problems.delete(server)
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      if (problems.get(server) !== problem) log(`${server}: ${problem}`)
      problems.set(server, problem)
    }
  }

  const begin = (server: string, work: () => Promise<void>) => {
    if (under.has(server)) return
    under.set(
      server,
      attempt(server, work).finally(() => under.delete(server))
    )
  }

  const finishBirth = async (server: string, row: ServerRow) => {
    const fleet = state.now().fleets[row.fleet]
    if (row.born || !fleet) return
    const { address, port, zone, identities } = row
    const keys = { kind: 'local', folder: serverPaths(folderOf(server)).keys } as const
    const { objects, pollMs } = settings
    const machine = { server, zone, address, port, objects, keys, pollMs, ...(identities && { identities }) }
    await makeServerFolder(folderOf(server), { birth: fleet.spec.birth, machine, keysFolder: settings.keysFolder })
    await state.update(changeServer(server, { born: true }))
    log(`${server} of fleet ${row.fleet} is born in ${zone}, at ${address}:${port}`)
  }

  /** Starts a service that does not run: at once, or later each time when it keeps dying young. */
  const keepService = async (server: string, service: Service, running: boolean) => {
    const key = `${server}/${service.name}`
    const known = lives.get(key)
    if (running || (!known && (await adopt(server, service)))) {
      if (!known) lives.set(key, started(undefined, nowMs()))
      return
    }
    const life = known && known.startAtMs === 0 ? died(known, nowMs()) : known
    if (life && life !== known) {
      lives.set(key, life)
      log(`${service.name} of ${server} died; it is started again in ${life.startAtMs - nowMs()} ms`)
    }
    if (life && nowMs() < life.startAtMs) return
    const { pid } = await startService(folderOf(server), service, settings.env)
    lives.set(key, started(life, nowMs()))
    log(`${service.name} of ${server} started as process ${pid}`)
  }

  /** A supervisor may have died between starting a service and writing it down. */
  const adopt = async (server: string, service: Service): Promise<boolean> => {
    const found = await findUnrecorded(folderOf(server), service)
    if (found) await writeIdentity(serverPaths(folderOf(server)).identity(service.name), found)
    return found !== undefined
  }

  const endAll = (server: string) =>
    endProcesses({
      folder: folderOf(server),
      services: settings.services,
      remembered: state.now().servers[server]?.processes ?? [],
      graceMs: settings.stopGraceMs,
      clock
    })

  const forgetLives = (server: string) => {
    for (const { name } of settings.services) lives.delete(`${server}/${name}`)
  }

  return {
    folderOf,
    problem: (server: string): string | undefined => problems.get(server),
    /** Makes a server whole: born, with its key, its services running. */
    keep: (server: string, found: SeenServer | undefined): Promise<void> =>
      attempt(server, async () => {
        const row = state.now().servers[server]
        if (!row || found?.folder === 'gone' || under.has(server)) return
        await finishBirth(server, row)
        await copyKey({ folder: folderOf(server), keysFolder: settings.keysFolder, fleet: row.fleet })
        await Promise.all(
          settings.services.map((service) => keepService(server, service, found?.running.has(service.name) ?? false))
        )
      }),
    /** Ends everything that runs on the server and forgets it. Returns at once; the row goes last. */
    remove: (server: string) =>
      begin(server, async () => {
        await endAll(server)
        await removeServerFolder(folderOf(server), clock)
        await state.update(removeServer(server))
        forgetLives(server)
        log(`${server} is removed`)
      }),
    /** Ends everything that runs on the server, between `before` and `after`; the next look starts it again. */
    reboot: (server: string, before: () => Promise<void>, after: () => void) =>
      begin(server, async () => {
        log(`${server} is rebooted`)
        try {
          await before()
          await endAll(server)
          forgetLives(server)
        } finally {
          after()
        }
      }),
    /** Ends every process of every server. Nothing is removed. */
    stop: async () => {
      await Promise.all(under.values())
      await Promise.all(Object.keys(state.now().servers).map(endAll))
    }
  }
}
