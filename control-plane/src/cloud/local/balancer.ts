import { connect, type Socket } from 'node:net'
import { digestOf } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import { type Backend, backends } from './backends.ts'
import { deathWatch } from './deaths.ts'
import { entry } from './entry.ts'
import { keepAliveInitialDelay, listeners, type Place } from './listeners.ts'
import { splice } from './splice.ts'
import type { Aborted, BalancerState, BalancerTable } from './table.ts'

const checkPeriodMs = 500
const connectDeadlineMs = 5000
const retryAfterMs = 100

/**
 * Balances connections over each fleet's healthy servers, and leads connections to the entry to the fleet that their host
 * name belongs to. A new table touches no connection that is there.
 */
export const balancer = ({ clock, table: firstTable }: { readonly clock: Clock; readonly table: BalancerTable }) => {
  const servers = backends()
  const balance = balanceOver(servers, clock)
  const places = listeners()
  let table = firstTable

  const enter = entry({
    clock,
    fleetOf: (host) => (Object.hasOwn(table.names, host) ? table.names[host] : undefined),
    balance: balance.accept
  })
  const listen = () => places.settle(placesOf(table, balance.accept, enter))

  servers.apply(firstTable)

  return {
    /** Takes a new table in the place of the old one. */
    swap: async (next: BalancerTable) => {
      servers.apply(next)
      table = next
      await listen()
    },
    /** Checks and serves until `signal` is aborted. The first checks come before the first listener opens. */
    run: async (signal: AbortSignal) => {
      await servers.check()
      while (!signal.aborted) {
        // What could not be had the last time is tried again.
        await listen()
        await clock.wait(checkPeriodMs, signal)
        void servers.check()
      }
      await places.settle([])
    },
    state: (): BalancerState => stateOf(table, places, servers.state()),
    /** The last connections that ended because the server behind them was gone, oldest first. */
    aborted: balance.aborted
  }
}

/** Connects each client to a server of its fleet. Until one takes the connection, the client's bytes wait in its socket. */
const balanceOver = (servers: ReturnType<typeof backends>, clock: Clock) => {
  const deaths = deathWatch(clock)

  const accept = (fleet: string, client: Socket) => {
    const deadlineMs = clock.now().getTime() + connectDeadlineMs
    const tried = new Set<Backend>()
    // The socket closes itself after an error; unheard, the error would end the process.
    client.once('error', () => client.destroy())

    const attempt = (): void => {
      if (client.destroyed) return
      const backend = servers.choose(fleet, tried)
      if (backend) {
        tried.add(backend)
        reach(backend, fleet, client, attempt)
        return
      }
      if (clock.now().getTime() >= deadlineMs) {
        client.resetAndDestroy()
        return
      }
      tried.clear()
      void clock.wait(retryAfterMs).then(attempt)
    }
    attempt()
  }

  const reach = (backend: Backend, fleet: string, client: Socket, onFailure: () => void) => {
    servers.take(backend)
    const { address, port, server } = backend.row
    const upstream = connect({ host: address, port, allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay })
    const fail = () => {
      servers.release(backend)
      onFailure()
    }
    upstream.once('error', fail)
    upstream.once('connect', () => {
      upstream.off('error', fail)
      if (client.destroyed) {
        upstream.destroy()
        servers.release(backend)
        return
      }
      const clientPort = client.remotePort ?? 0
      splice(client, upstream, {
        onServerEnd: (end) => deaths.suspect({ clientPort, fleet, server, ...end }, { address, port }),
        onClosed: () => servers.release(backend)
      })
    })
  }

  return { accept, aborted: (): readonly Aborted[] => deaths.aborted() }
}

const placesOf = (
  table: BalancerTable,
  balance: (fleet: string, client: Socket) => void,
  enter: (client: Socket) => void
): Place[] => [
  ...(table.claim ? [{ ...table.claim, name: 'claim', accept: (client: Socket) => client.destroy() }] : []),
  ...table.fleets.map(({ fleet, address, port }) => ({
    address,
    port,
    name: fleetPlace(fleet),
    accept: (client: Socket) => balance(fleet, client)
  })),
  ...table.entry.addresses.map((address) => ({ address, port: table.entry.port, name: entryPlace(address), accept: enter }))
]

const stateOf = (
  table: BalancerTable,
  places: ReturnType<typeof listeners>,
  servers: BalancerState['servers']
): BalancerState => {
  const listeningAt = (name: string, address: string, port: number) => {
    const problem = places.problem(name)
    return { address, port, listening: places.isOpen(name), ...(problem === undefined ? {} : { problem }) }
  }
  return {
    table: digestOf(table),
    entry: table.entry.addresses.map((address) => listeningAt(entryPlace(address), address, table.entry.port)),
    fleets: Object.fromEntries(
      table.fleets.map(({ fleet, address, port }) => [fleet, listeningAt(fleetPlace(fleet), address, port)])
    ),
    servers
  }
}

const fleetPlace = (fleet: string) => `fleet ${fleet}`
const entryPlace = (address: string) => `entry ${address}`
