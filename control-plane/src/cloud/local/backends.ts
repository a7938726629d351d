import { type Health, isReady, newHealth, nextHealth } from './health.ts'
import type { BalancerState, BalancerTable, TableServer } from './table.ts'

const checkTimeoutMs = 2000

/** A server as the balancer deals with it. It outlives its row in the table until its last connection has ended. */
export type Backend = {
  readonly fleet: string
  row: TableServer
  health: Health
  /** A health check is under way. */
  checking: boolean
  /** It has no row in the table any more. */
  gone: boolean
  connections: number
}

/** The servers behind the balancer: who they are, how they are, and whose turn it is. */
export const backends = () => {
  const known = new Map<string, Backend>()
  let turn = 0

  return {
    /** Makes the servers be those of the table. Removed ones get no new connection and stay for those they have. */
    apply: (table: BalancerTable) => {
      for (const backend of known.values()) backend.gone = true
      for (const { fleet, servers } of table.fleets)
        for (const row of servers) {
          const backend = known.get(row.server)
          if (backend?.fleet === fleet) Object.assign(backend, { row, gone: false })
          else known.set(row.server, { fleet, row, health: newHealth, checking: false, gone: false, connections: 0 })
        }
      for (const [server, backend] of known) if (backend.gone && backend.connections === 0) known.delete(server)
    },

    /** Asks every server once how it is. One that has not answered the last time yet is not asked again. */
    check: async () => {
      const asked = [...known.values()].filter(({ checking, gone }) => !checking && !gone)
      await Promise.all(
        asked.map(async (backend) => {
          backend.checking = true
          backend.health = nextHealth(backend.health, await isReady(backend.row, checkTimeoutMs))
          backend.checking = false
        })
      )
    },

    /** The least busy of the healthy servers; when none is, of those that once were. Equally busy ones take turns. */
    choose: (fleet: string, tried: ReadonlySet<Backend>): Backend | undefined => {
      const routed = [...known.values()].filter((backend) => backend.fleet === fleet && backend.row.routed && !backend.gone)
      const healthy = routed.filter(({ health }) => health.state === 'healthy')
      const usable = healthy.length > 0 ? healthy : routed.filter(({ row, health }) => row.proven || health.state !== 'starting')
      const untried = usable.filter((backend) => !tried.has(backend))
      turn = (turn + 1) % 0xffff
      const first = turn % Math.max(untried.length, 1)
      return [...untried.slice(first), ...untried.slice(0, first)].reduce<Backend | undefined>(
        (best, candidate) => (best && best.connections <= candidate.connections ? best : candidate),
        undefined
      )
    },

    /** A connection to this server begins; it must be released once. */
    take: (backend: Backend) => {
      backend.connections += 1
    },
    release: (backend: Backend) => {
      backend.connections -= 1
      if (backend.gone && backend.connections === 0 && known.get(backend.row.server) === backend) known.delete(backend.row.server)
    },

    state: (): BalancerState['servers'] =>
      Object.fromEntries(
        [...known.values()].map(({ row, health, connections }) => [row.server, { health: health.state, connections }])
      )
  }
}
