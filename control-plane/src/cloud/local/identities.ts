import type { IdentityRange } from '@berth/shared/birth'
import { Refusal } from '@berth/shared/refusal'
import type { CloudState } from './state.ts'

// What lies between the identities that systems give to containers and the end of what every system can count.
const firstIdentity = 0x7000_0000
const rangeCount = 16_000
const rangeLength = 16_384

/**
 * The identities of the next server: no other server's on this machine, since a process is told apart by its identity alone.
 * Ranges go round like names do, so that one is not used again soon, and two clouds begin apart.
 */
export const pickIdentities = ({
  births,
  firstName,
  servers
}: Pick<CloudState, 'births' | 'firstName' | 'servers'>): IdentityRange => {
  const taken = new Set(Object.values(servers).map(({ identities }) => identities?.first))
  for (let step = 0; step < rangeCount; step++) {
    const first = firstIdentity + ((firstName + births + step) % rangeCount) * rangeLength
    if (!taken.has(first)) return { first, count: rangeLength }
  }
  throw new Refusal('no_identities', 'all ranges of operating-system identities are taken; no server was born. Remove servers')
}
