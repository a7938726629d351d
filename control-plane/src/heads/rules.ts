import { changedMax, type Head } from '@berth/shared/desired'
import { Refusal } from '@berth/shared/refusal'
import type { Body } from '../desired/render.ts'

/** How long a head is believed, unless an operator says otherwise. */
export const validityMsDefault = 24 * 60 * 60_000
const signedAgainMsMax = 10 * 60_000
/** How far a fleet's numbers jump when its head was lost: past every generation that servers may have seen and no row recorded. */
const lostGenerations = 1_000_000

/** A head is signed again each ten minutes, or three times within a validity that is shorter than that. */
export const signedAgainAfterMs = (validityMs: number): number => Math.min(signedAgainMsMax, validityMs / 3)

/** A head that stands in the store, and what is known to lie there because of it. */
export type Base = {
  readonly head: Head
  readonly etag: string
  /** Digests of the per-site objects of its index; nothing when the index could not be read and everything is put again. */
  readonly sites: ReadonlySet<string> | undefined
}

/** Whether a head must be signed anew though nothing changed. */
export const needsSigning = (head: Head, now: Date, validityMs: number): boolean =>
  now.getTime() - Date.parse(head.signedAt) >= signedAgainAfterMs(validityMs) ||
  // Signed in the future, or for less long than now: by another clock, or under another setting.
  Date.parse(head.validUntil) - now.getTime() < validityMs - 6 * signedAgainAfterMs(validityMs)

/**
 * The head to put over `base`, or nothing when `base` says it already. The generation is the head's own plus one, never a number
 * of the database; the same body keeps its generation. A revision below the head's is an old database: refused.
 */
export const nextHead = (
  base: Base | undefined,
  { fleet, revision, recorded, headLost, body, root, validityMs, now }: NextHead
): Head | undefined => {
  if (base && revision < base.head.revision)
    throw new Refusal(
      'old_database',
      `fleet ${fleet}: the database is at revision ${revision}, its head at ${base.head.revision}. No head was written: this is an older database.`
    )
  if (!base && recorded > 0 && !headLost)
    throw new Refusal(
      'head_missing',
      `fleet ${fleet}: its head of generation ${recorded} is gone from the object store. None was written: an operator must say that it is lost for good (POST /v1/fleets/${fleet}/head-lost).`
    )
  const isSame = base !== undefined && base.head.digest === body.index.digest
  if (isSame && base.head.revision === revision && base.sites !== undefined && !needsSigning(base.head, now, validityMs))
    return undefined

  return {
    fleet,
    generation: base === undefined ? recorded + (headLost ? lostGenerations : 1) : base.head.generation + (isSame ? 0 : 1),
    digest: body.index.digest,
    revision,
    signedAt: now.toISOString(),
    validUntil: new Date(now.getTime() + validityMs).toISOString(),
    root,
    changed: isSame ? base.head.changed : newSites(base, body).slice(0, changedMax)
  }
}
export type NextHead = {
  readonly fleet: string
  readonly revision: number
  /** The last generation that the database knows of. */
  readonly recorded: number
  /** An operator said that the head is lost for good. */
  readonly headLost: boolean
  readonly body: Body
  readonly root: number
  readonly validityMs: number
  readonly now: Date
}

/** Digests of the per-site objects that the base's index does not name. */
export const newSites = (base: Base | undefined, body: Body): string[] =>
  [...new Set(body.sites.map(({ digest }) => digest))].filter((digest) => !base?.sites?.has(digest))
