import { randomInt } from 'node:crypto'
import type { FleetSpec } from '../cloud.ts'
import { pickIdentities } from './identities.ts'
import { allocate, claimOf, type Endpoint, pickNetwork } from './network.ts'
import { type CloudState, type FleetRow, type ServerRow, serverName } from './state.ts'
import type { BalancerTable } from './table.ts'

/** The state of a cloud that has nothing yet but its addresses. */
export const beginState = async (folder: string, loopback: 'own' | 'single' | undefined): Promise<CloudState> => ({
  format: 1,
  network: await pickNetwork(folder, loopback),
  births: 0,
  firstName: randomInt(0x100000000),
  fleets: {},
  servers: {}
})

/** Declares a fleet. One that is being deleted comes back to life. */
export const putFleet =
  (spec: FleetSpec) =>
  async (state: CloudState): Promise<CloudState> => {
    const known = state.fleets[spec.fleet]
    const place = known ?? (await allocate(state.network, 'balancer', takenIn(state)))
    const row: FleetRow = {
      spec,
      address: place.address,
      port: place.port,
      active: known?.active ?? false,
      deleting: false
    }
    return { ...state, fleets: { ...state.fleets, [spec.fleet]: row } }
  }

/** Marks a fleet for deletion; its row goes when its last server has gone. */
export const deleteFleet =
  (fleet: string) =>
  (state: CloudState): CloudState => {
    const known = state.fleets[fleet]
    return known ? { ...state, fleets: { ...state.fleets, [fleet]: { ...known, deleting: true } } } : state
  }

/** Takes out the rows of deleted fleets that have no server any more. */
export const forgetFleets = (state: CloudState): CloudState => ({
  ...state,
  fleets: Object.fromEntries(
    Object.entries(state.fleets).filter(
      ([fleet, { deleting }]) => !deleting || Object.values(state.servers).some((server) => server.fleet === fleet)
    )
  )
})

/** A new server's row: its name and address are taken before anything of it exists. */
export const addServer =
  (fleet: string, zone: string) =>
  async (state: CloudState): Promise<CloudState> => {
    const { address, port } = await allocate(state.network, 'server', takenIn(state))
    const row: ServerRow = {
      fleet,
      zone,
      address,
      port,
      identities: pickIdentities(state),
      born: false,
      proven: false,
      processes: []
    }
    return { ...state, births: state.births + 1, servers: { ...state.servers, [serverName(state)]: row } }
  }

/** Changes one server's row, if it is still there. */
export const changeServer =
  (server: string, change: Partial<ServerRow>) =>
  (state: CloudState): CloudState => {
    const row = state.servers[server]
    return row ? { ...state, servers: { ...state.servers, [server]: { ...row, ...change } } } : state
  }

export const removeServer =
  (server: string) =>
  (state: CloudState): CloudState => ({
    ...state,
    servers: Object.fromEntries(Object.entries(state.servers).filter(([name]) => name !== server))
  })

/** Marks fleets active whose servers have all been healthy. */
export const noteActive = (state: CloudState): CloudState => ({
  ...state,
  fleets: Object.fromEntries(
    Object.entries(state.fleets).map(([fleet, row]) => {
      const proven = Object.values(state.servers).filter((server) => server.fleet === fleet && server.proven).length
      return [fleet, { ...row, active: row.active || proven >= row.spec.servers }]
    })
  )
})

/** The balancer's table for this state. A server that leaves or reboots is in it and gets no new connection. */
export const tableOf = (
  state: CloudState,
  names: Readonly<Record<string, string>>,
  httpPort: number,
  rebooting: ReadonlySet<string>
): BalancerTable => {
  const claim = claimOf(state.network)
  return {
    format: 1,
    ...(claim ? { claim } : {}),
    entry: { port: httpPort, addresses: ['127.0.0.1', '::1'] },
    fleets: Object.entries(state.fleets).map(([fleet, { address, port }]) => ({
      fleet,
      address,
      port,
      servers: Object.entries(state.servers)
        .filter(([, row]) => row.fleet === fleet && row.born)
        .map(([server, row]) => ({
          server,
          address: row.address,
          port: row.port,
          routed: row.retiredAtMs === undefined && !rebooting.has(server),
          proven: row.proven
        }))
    })),
    names: { ...names }
  }
}

const takenIn = ({ fleets, servers }: { fleets: CloudState['fleets']; servers: CloudState['servers'] }): Endpoint[] => [
  ...Object.values(fleets),
  ...Object.values(servers)
]
