import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { Refusal } from '@berth/shared/refusal'
import { type Static, Type } from 'typebox'

/** The loopback addresses of one local cloud: a /24 of its own on one port, or ports of 127.0.0.1 where there is nothing else. */
export const Network = Type.Union([
  Type.Object(
    { kind: Type.Literal('own'), prefix: Type.String({ pattern: '^127\\.\\d+\\.\\d+$' }), port: Type.Integer() },
    { additionalProperties: false }
  ),
  Type.Object({ kind: Type.Literal('single') }, { additionalProperties: false })
])
export type Network = Static<typeof Network>

export const Endpoint = Type.Object(
  { address: Type.String({ maxLength: 64 }), port: Type.Integer({ minimum: 1, maximum: 65_535 }) },
  { additionalProperties: false }
)
export type Endpoint = Static<typeof Endpoint>

/** Asks the system whether something could listen there now. */
export const canListen = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(true)))
  })

// Below every system's range of ports for outgoing connections, so that none of those is in the way at the next start.
const firstPort = 7080
const portStep = 100
const portsTried = 20
const prefixesTried = 8
const claimHost = 254
const hostsOf = { balancer: [1, 63], server: [64, 253] } as const
const singlePorts = { from: 20_000, to: 29_999 } as const

/**
 * Picks the addresses of a new local cloud. Where they start depends on the folder, so that two clouds are apart from the
 * beginning; that nobody is there already is asked of the system (each balancer holds its range's claim).
 */
export const pickNetwork = async (folder: string, loopback?: 'own' | 'single'): Promise<Network> => {
  const kind = loopback ?? ((await canListen('127.83.83.83', 0)) ? 'own' : 'single')
  if (kind === 'single') return { kind }
  const digest = createHash('sha256').update(folder).digest()
  for (let step = 0; step < portsTried; step++) {
    const port = firstPort + step * portStep
    for (let attempt = 0; attempt < prefixesTried; attempt++) {
      // 127.0.x.y is left to the system's own services, such as a resolver.
      const prefix = `127.${1 + (digest.readUInt8(attempt * 2) % 254)}.${digest.readUInt8(attempt * 2 + 1)}`
      if (await canListen(`${prefix}.${claimHost}`, port)) return { kind, prefix, port }
    }
  }
  throw new Refusal('no_address', 'no free range of loopback addresses was found; nothing was started. Stop what uses 127.x.y.z')
}

/** What the balancer holds to show other local clouds that the range is taken. */
export const claimOf = (network: Network): Endpoint | undefined =>
  network.kind === 'own' ? { address: `${network.prefix}.${claimHost}`, port: network.port } : undefined

/** A place to listen that nobody in this cloud has, for a fleet's balancer or for a server. */
export const allocate = async (network: Network, use: keyof typeof hostsOf, taken: readonly Endpoint[]): Promise<Endpoint> => {
  if (network.kind === 'own') {
    const [first, last] = hostsOf[use]
    for (let host = first; host <= last; host++) {
      const address = `${network.prefix}.${host}`
      if (!taken.some((endpoint) => endpoint.address === address)) return { address, port: network.port }
    }
  } else {
    for (let port: number = singlePorts.from; port <= singlePorts.to; port++) {
      if (taken.some((endpoint) => endpoint.port === port)) continue
      if (await canListen('127.0.0.1', port)) return { address: '127.0.0.1', port }
    }
  }
  throw new Refusal(
    'no_address',
    `this machine's cloud has no address left for another ${use}; remove a fleet or make one smaller`
  )
}
