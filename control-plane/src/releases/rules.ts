import type { ReleaseStatus } from '@berth/shared/api/releases'

/** A release as far as going back to it is concerned. */
export type Candidate = {
  readonly id: string
  readonly digest: string | null
  readonly status: ReleaseStatus
  readonly wasLive: boolean
  readonly liveAt: Date | null
}

/**
 * Where a rollback goes when nobody says: the last release that was live on the whole fleet before the current one. One with the
 * current one's digest is the same pool, and nothing would change.
 */
export const rollbackTarget = <Row extends Candidate>(releases: readonly Row[], current: Row | undefined): Row | undefined =>
  releases
    .filter(({ wasLive, liveAt }) => wasLive && liveAt !== null)
    .filter(({ id, digest }) => id !== current?.id && digest !== current?.digest)
    .toSorted((a, b) => (b.liveAt?.getTime() ?? 0) - (a.liveAt?.getTime() ?? 0))[0]

/** Whether its package lies in the fleet's prefix, so that no other has to be made. */
export const isPackagedFor = (
  { status, fleetId }: { readonly status: ReleaseStatus; readonly fleetId: string | null },
  fleet: string | null
): boolean => status === 'packaged' && fleetId !== null && fleetId === fleet
