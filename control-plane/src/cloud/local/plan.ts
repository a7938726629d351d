import { zones } from './settings.ts'

/** A server of one fleet as the supervisor finds it. */
export type ObservedServer = {
  readonly server: string
  readonly zone: string
  /** Its disk. One without a disk serves on from memory at best, and is replaced. */
  readonly folder: 'there' | 'gone'
  /** `starting` until it has first been healthy. */
  readonly health: 'starting' | 'healthy' | 'unhealthy'
  /** It gets no new connection any more. */
  readonly retiring: boolean
  /** It is retiring, and has no connection left or no time. */
  readonly drained: boolean
}

export type Action =
  | { readonly kind: 'birth'; readonly zone: string }
  | { readonly kind: 'retire'; readonly server: string }
  | { readonly kind: 'end'; readonly server: string }

/**
 * What makes a fleet have as many sound servers as it shall. Missing ones are born at once. A server that lost its disk is
 * replaced beside the others: born first, retired once the new one has been healthy, and never two at a time.
 */
export const planFleet = ({ servers }: { readonly servers: number }, observed: readonly ObservedServer[]): Action[] => {
  const kept = observed.filter(({ retiring }) => !retiring)
  const lost = kept.filter(({ folder }) => folder === 'gone')
  const surplus = kept.length - servers
  const ends = observed.filter(({ drained }) => drained).map(({ server }) => ({ kind: 'end', server }) as const)

  if (surplus < 0) return [...ends, ...births(kept, -surplus)]
  if (lost.length === 0 || servers === 0) return [...ends, ...retirements(kept, surplus)]
  // One server more than wanted is the replacement of a lost one on its way; any further one is surplus.
  if (surplus > 1) return [...ends, ...retirements(kept, surplus - 1)]
  if (isReplacing(observed)) return ends
  return [...ends, ...(surplus === 0 ? births(kept, 1) : retirements(lost, 1))]
}

const isReplacing = (observed: readonly ObservedServer[]): boolean =>
  observed.some(({ folder, health, retiring }) => (retiring ? folder === 'gone' : folder === 'there' && health === 'starting'))

const births = (kept: readonly ObservedServer[], count: number): Action[] => {
  const crowds = crowdsOf(kept)
  return Array.from({ length: count }, () => {
    const zone = zones.reduce((best, candidate) => ((crowds[candidate] ?? 0) < (crowds[best] ?? 0) ? candidate : best))
    crowds[zone] = (crowds[zone] ?? 0) + 1
    return { kind: 'birth', zone } as const
  })
}

/** Those go first that are missed least: not healthy, without a disk, in the zone with most servers. */
const retirements = (kept: readonly ObservedServer[], count: number): Action[] => {
  const remaining = [...kept]
  return Array.from({ length: count }, () => {
    const crowds = crowdsOf(remaining)
    const cost = ({ health, folder, zone }: ObservedServer) =>
      (health === 'healthy' ? 1000 : 0) + (folder === 'there' ? 500 : 0) - (crowds[zone] ?? 0)
    remaining.sort((one, other) => cost(one) - cost(other) || (one.server < other.server ? -1 : 1))
    return remaining.shift()
  }).flatMap((found) => (found ? [{ kind: 'retire', server: found.server } as const] : []))
}

const crowdsOf = (servers: readonly ObservedServer[]): Record<string, number> => {
  const crowds: Record<string, number> = {}
  for (const { zone } of servers) crowds[zone] = (crowds[zone] ?? 0) + 1
  return crowds
}
