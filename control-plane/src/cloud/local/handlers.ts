import type { ControlHandlers } from '@berth/shared/control-socket'
import { HostName, StoreName } from '@berth/shared/fields'
import { parser } from '@berth/shared/parse'
import type { ProcessIdentity } from '@berth/shared/processes'
import { Refusal } from '@berth/shared/refusal'
import { Type } from 'typebox'
import { deleteFleet, putFleet } from './changes.ts'
import { parseFleetSpec, type ServerRow } from './state.ts'
import type { SuperviseDeps, Supervision } from './supervise.ts'
import type { CloudView, MemberView } from './view.ts'

const parseFleetName = parser(Type.Object({ fleet: StoreName }, { additionalProperties: false }), 'a fleet')
const parseName = parser(Type.Object({ host: HostName, fleet: StoreName }, { additionalProperties: false }), 'a name')
const parseHost = parser(Type.Object({ host: HostName }, { additionalProperties: false }), 'a name')
const parseServer = parser(Type.Object({ server: StoreName }, { additionalProperties: false }), 'a server')

/** What the supervisor's control socket answers. Declarations are on disk before the answer; the world follows. */
export const handlers = (
  { state, names, balancer, settings }: SuperviseDeps,
  supervision: Supervision,
  self: ProcessIdentity,
  wake: () => void
): ControlHandlers => ({
  'PUT /fleets': async (body) => {
    const spec = parseFleetSpec(body)
    if (spec.birth.fleet !== spec.fleet)
      throw new Refusal('invalid', `the birth record of fleet ${spec.fleet} names ${spec.birth.fleet}`, { field: '/birth/fleet' })
    await state.update(putFleet(spec))
    wake()
  },
  'POST /fleets/delete': async (body) => {
    await state.update(deleteFleet(parseFleetName(body).fleet))
    wake()
  },
  'PUT /names': async (body) => {
    const { host, fleet } = parseName(body)
    const row = state.now().fleets[fleet]
    if (!row || row.deleting)
      throw new Refusal('not_found', `there is no fleet ${fleet}; the name ${host} is as it was`, { field: '/fleet' })
    await names.update((known) => ({ ...known, [host]: fleet }))
    await supervision.tellBalancer()
  },
  'POST /names/delete': async (body) => {
    const { host } = parseHost(body)
    await names.update((known) => Object.fromEntries(Object.entries(known).filter(([name]) => name !== host)))
    await supervision.tellBalancer()
  },
  'GET /names': async () => names.now(),
  'POST /servers/reboot': async (body) => {
    supervision.reboot(parseServer(body).server)
  },
  'GET /aborted': () => balancer.aborted(),
  'GET /state': async (): Promise<CloudView> => ({
    supervisor: self,
    balancer: (await balancer.findRunning()) ?? null,
    entry: supervision.balancerState()?.entry ?? [],
    fleets: Object.fromEntries(
      Object.entries(state.now().fleets).map(([fleet, { spec, active, deleting, address, port }]) => [
        fleet,
        {
          state: deleting ? 'deleting' : active ? 'active' : 'creating',
          servers: deleting ? 0 : spec.servers,
          balancer: `${address}:${port}`,
          members: Object.entries(state.now().servers)
            .filter(([, row]) => row.fleet === fleet)
            .map(([server, row]) => viewOf(server, row, supervision, settings.services))
        }
      ])
    )
  })
})

const viewOf = (
  server: string,
  row: ServerRow,
  supervision: Supervision,
  services: readonly { readonly name: string }[]
): MemberView => {
  const problem = supervision.problem(server)
  const running = supervision.seen(server)?.running
  return {
    server,
    zone: row.zone,
    state: supervision.memberState(server, row),
    address: row.address,
    port: row.port,
    folder: supervision.folderOf(server),
    services: Object.fromEntries(services.map(({ name }) => [name, running?.get(name) ?? null])),
    connections: supervision.balancerState()?.servers[server]?.connections ?? 0,
    ...(problem === undefined ? {} : { problem })
  }
}
