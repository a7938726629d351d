import { digestOf } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import { Refusal } from '@berth/shared/refusal'
import type { MemberState } from '../cloud.ts'
import type { BalancerProcess } from './balancer-process.ts'
import { addServer, changeServer, forgetFleets, noteActive, tableOf } from './changes.ts'
import { healthMemory, isDrained, type SeenServer, seeServer } from './observe.ts'
import { type Action, type ObservedServer, planFleet } from './plan.ts'
import { servers } from './servers.ts'
import type { SupervisorSettings } from './settings.ts'
import type { CloudState, ServerRow, StateFile } from './state.ts'
import type { BalancerState } from './table.ts'

export type SuperviseDeps = {
  readonly folder: string
  readonly settings: SupervisorSettings
  readonly state: StateFile<CloudState>
  readonly names: StateFile<Readonly<Record<string, string>>>
  readonly balancer: BalancerProcess
  readonly clock: Clock
  readonly log: (line: string) => void
}

/** Keeps the declared fleets as they shall be: each look sees afresh how things are and does what is missing. */
export const supervise = (deps: SuperviseDeps) => {
  const { settings, state, names, balancer, clock, log } = deps
  const health = healthMemory()
  const each = servers(deps)
  const rebooting = new Set<string>()
  let seen: ReadonlyMap<string, SeenServer> = new Map()
  let balancerState: BalancerState | undefined

  const table = () => tableOf(state.now(), names.now(), settings.httpPort, rebooting)
  const nowMs = () => clock.now().getTime()

  const observe = async () => {
    balancerState = await balancer.findState()
    health.note(balancerState)
    const born = Object.entries(state.now().servers).filter(([, row]) => row.born)
    const look = async ([server]: [string, ServerRow]) =>
      [server, await seeServer(each.folderOf(server), settings.services)] as const
    seen = new Map(await Promise.all(born.map(look)))
    await state.update((current) => forgetFleets(noteActive(noteSeen(current))))
  }

  const noteSeen = (current: CloudState): CloudState =>
    [...seen].reduce((next, [server, { folder, processes }]) => {
      const identities = processes.map(({ pid, startTime }) => ({ pid, startTime }))
      return changeServer(server, {
        ...(health.isHealthy(server) ? { proven: true } : {}),
        // Of a vanished folder the last that it told is kept: these are to be ended.
        ...(folder === 'there' ? { processes: identities } : {})
      })(next)
    }, current)

  const observedOf = (fleet: string): ObservedServer[] => {
    const now = { balancer: balancerState, table: digestOf(table()), nowMs: nowMs(), drainMs: settings.drainMs }
    return Object.entries(state.now().servers)
      .filter(([, row]) => row.fleet === fleet)
      .map(([server, row]) => ({
        server,
        zone: row.zone,
        // A server whose folder is still to be made has lost nothing.
        folder: seen.get(server)?.folder ?? 'there',
        health: health.of(server, row),
        retiring: row.retiredAtMs !== undefined,
        drained: isDrained(server, row, now)
      }))
  }

  const carryOut = async (fleet: string, action: Action) => {
    switch (action.kind) {
      case 'birth':
        await state.update(addServer(fleet, action.zone))
        return
      case 'retire':
        log(`${action.server} of fleet ${fleet} gets no new connections and will be removed`)
        await state.update(changeServer(action.server, { retiredAtMs: nowMs() }))
        return
      case 'end':
        each.remove(action.server)
    }
  }

  return {
    /** One look at everything, and what follows from it. It grows with the number of servers and with nothing else. */
    look: async () => {
      await balancer.keepRunning()
      await observe()
      for (const [fleet, { spec, deleting }] of Object.entries(state.now().fleets))
        for (const action of planFleet({ servers: deleting ? 0 : spec.servers }, observedOf(fleet))) await carryOut(fleet, action)
      await Promise.all(Object.keys(state.now().servers).map((server) => each.keep(server, seen.get(server))))
      await balancer.tell(table)
    },
    /** Makes a change take effect now. A balancer that does not answer learns of it at a later look. */
    tellBalancer: (): Promise<void> => balancer.tell(table).catch(() => undefined),
    /** Ends all that runs on a server and starts it again, as turning it off and on would. */
    reboot: (server: string) => {
      if (!state.now().servers[server]) throw new Refusal('not_found', `there is no server ${server}; nothing was rebooted`)
      const before = () => {
        rebooting.add(server)
        return balancer.tell(table)
      }
      each.reboot(server, before, () => rebooting.delete(server))
    },
    /** Ends every process of every server, and the balancer last. Nothing is removed. */
    stop: async () => {
      await each.stop()
      await balancer.stop()
    },
    memberState: (server: string, row: ServerRow): MemberState =>
      row.retiredAtMs === undefined ? health.of(server, row) : 'stopping',
    seen: (server: string): SeenServer | undefined => seen.get(server),
    problem: each.problem,
    folderOf: each.folderOf,
    balancerState: (): BalancerState | undefined => balancerState
  }
}
export type Supervision = ReturnType<typeof supervise>
