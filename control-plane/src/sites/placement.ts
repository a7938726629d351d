import type { FleetStatus } from '@berth/shared/api/fleets'
import type { Tenancy } from '@berth/shared/birth'

export type FleetToPlaceOn = {
  readonly id: string
  readonly region: string
  readonly tenancy: Tenancy
  readonly status: FleetStatus
  readonly servers: number
  readonly sites: number
}

/** Where a site goes, or why it goes nowhere yet. */
export type Placement =
  | { readonly kind: 'placed'; readonly fleet: string }
  | { readonly kind: 'unplaced'; readonly reason: string }

/**
 * Chooses the fleet of a site: its Region and tenancy, active, and of those the one with the fewest sites a server.
 * Equally loaded ones are told apart by name, so that the same question has the same answer.
 */
export const place = (
  site: { readonly region: string; readonly tenancy: Tenancy },
  fleets: readonly FleetToPlaceOn[]
): Placement => {
  const fitting = fleets.filter(
    ({ region, tenancy, status, servers }) =>
      region === site.region && tenancy === site.tenancy && status === 'active' && servers > 0
  )
  const [best] = fitting.toSorted((a, b) => a.sites / a.servers - b.sites / b.servers || (a.id < b.id ? -1 : 1))
  if (best) return { kind: 'placed', fleet: best.id }
  return { kind: 'unplaced', reason: `no active ${site.tenancy} fleet is in ${site.region}` }
}
