import type { BirthRecord } from '@berth/shared/birth'
import { type DesiredIndex, type DesiredSite, type Head, parseHead } from '@berth/shared/desired'
import { type Envelope, parseEnvelope, verifyEnvelope } from '@berth/shared/dsse'
import { Refusal } from '@berth/shared/refusal'
import { isExpired, type Root, verifyStatement } from '@berth/shared/trust'

/** The newest state that a server ever accepted, and whether it still holds all of it (a disk can be damaged). */
export type Floor = { readonly generation: number; readonly digest: string; readonly isWhole: boolean }

/** What heads are judged by: what the server was born with, never what they say of themselves. */
export type Judge = { readonly root: Root; readonly birth: BirthRecord }

/** Opens a head that the writer signed for this fleet. Refuses: `unsigned`, `wrong_role`, `bad_head`, `other_fleet`. */
export const openHead = ({ root, birth }: Judge, bytes: Uint8Array): Head => {
  const envelope = parseEnvelope(bytes)
  const head = parseHead(verifyHead(root, envelope))
  if (head.fleet !== birth.fleet)
    throw new Refusal('other_fleet', `the head is signed for fleet ${head.fleet}; this server was born into ${birth.fleet}`)
  return head
}

/** A good signature by a key that may sign other things is a role that oversteps, which is worth another word than no signature. */
const verifyHead = (root: Root, envelope: Envelope): Uint8Array => {
  try {
    return verifyStatement(root, envelope, 'head')
  } catch (refusal) {
    if (refusal instanceof Refusal && refusal.code === 'unsigned' && isSignedByAnotherRole(root, envelope))
      throw new Refusal('wrong_role', 'the head is signed by a key that this root does not let sign heads', { cause: refusal })
    throw refusal
  }
}

const isSignedByAnotherRole = (root: Root, envelope: Envelope): boolean => {
  try {
    verifyEnvelope(envelope, 'head', root.keys)
    return true
  } catch {
    return false
  }
}

/**
 * Whether this head may follow what is held; `stale` when it is the held one, or the first one, and its time is over.
 * Refuses: `older_generation`, `same_generation_other_digest`, `expired` (only where a state is held: expiry blocks change, not service).
 */
export const judgeHead = (
  { root }: Judge,
  head: Head,
  held: Floor | undefined,
  now: Date
): { readonly isNews: boolean; readonly isStale: boolean } => {
  const isStale = isOver(root, head, now)
  if (!held) return { isNews: true, isStale }
  if (head.generation < held.generation)
    throw new Refusal(
      'older_generation',
      `the head's generation ${head.generation} is older than ${held.generation}, which this server holds`
    )
  if (head.generation === held.generation && head.digest !== held.digest)
    throw new Refusal(
      'same_generation_other_digest',
      `generation ${head.generation} is signed for another body than the one that this server holds`
    )
  const isNews = head.generation > held.generation
  if (isNews && isStale && held.isWhole)
    throw new Refusal(
      'expired',
      `generation ${head.generation} came after its time was over (head until ${head.validUntil}, root until ${root.expires})`
    )
  return { isNews, isStale }
}

/** Whether head or root may no longer bring change. */
export const isOver = (root: Root, head: Head, now: Date): boolean =>
  Date.parse(head.validUntil) <= now.getTime() || isExpired(root, now)

/** Refuses a body that a server of this birth cannot be meant to run: `other_fleet`, `birth_contradicted`, `bad_body`. */
export const judgeBody = ({ birth }: Judge, index: DesiredIndex, sites: readonly DesiredSite[]): void => {
  if (index.fleet !== birth.fleet)
    throw new Refusal('other_fleet', `the body is of fleet ${index.fleet}; this server was born into ${birth.fleet}`)
  if (birth.tenancy === 'dedicated' && sites.length > 1)
    throw new Refusal('birth_contradicted', `a Dedicated fleet holds one site; the body shows ${sites.length}`)
  const stranger = birth.tenancy === 'public' ? undefined : sites.find((site) => site.subscription !== birth.subscription)
  if (stranger)
    throw new Refusal('birth_contradicted', `the body shows a site of another subscription than the one this server was born for`)

  const seen = new Set<string>()
  for (const { deployment } of sites.flatMap((site) => site.deployments)) {
    if (seen.has(deployment)) throw new Refusal('bad_body', `the body shows deployment ${deployment} twice`)
    seen.add(deployment)
  }
}
