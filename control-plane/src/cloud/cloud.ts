import type { BirthRecord } from '@berth/shared/birth'

/** What the control plane declares about a fleet; the cloud side owns it from there, and needs nobody to keep it so. */
export type FleetSpec = {
  readonly fleet: string
  /** Servers to keep alive, spread over the cloud's zones. */
  readonly servers: number
  readonly birth: BirthRecord
}

export type MemberState = 'starting' | 'healthy' | 'unhealthy' | 'stopping'

/** A server as the cloud knows it: the authority on who belongs to a fleet. */
export type Member = { readonly server: string; readonly zone: string; readonly state: MemberState }

export type FleetStatus = {
  readonly state: 'creating' | 'active' | 'deleting'
  readonly members: readonly Member[]
  /** Where the fleet's balancer listens: `address:port`. */
  readonly balancer: string
}

/**
 * The door to infrastructure. Every call is idempotent and declares; none waits for the world to follow.
 * Only the provisioner holds it. Failures throw; the caller tries again.
 */
export type Cloud = {
  readonly putFleet: (spec: FleetSpec) => Promise<void>
  readonly deleteFleet: (fleet: string) => Promise<void>
  readonly describeFleet: (fleet: string) => Promise<FleetStatus | undefined>
  /** From within the name's TTL (60 s on AWS, at once on a laptop) requests for this host reach that fleet. */
  readonly putName: (host: string, fleet: string) => Promise<void>
  readonly deleteName: (host: string) => Promise<void>
  readonly listNames: () => Promise<Readonly<Record<string, string>>>
}
