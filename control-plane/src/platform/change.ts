import { digestOf } from '@berth/shared/canonical'
import { and, eq, isNull, sql } from 'drizzle-orm'
import type { Action } from './access.ts'
import { type Actor, recordAudit } from './audit.ts'
import { type Db, inSubscription, inTransaction, type Tx } from './database.ts'
import { type RefusalCode, refusal } from './errors.ts'
import { idempotencyKeys } from './schema.ts'

/** Who asked for a change, and how to tell this request from others. */
export type Caller = {
  readonly actor: Actor
  readonly action: Action | 'platform.first-start'
  readonly requestId?: string
  readonly source?: string
  readonly idempotency?: {
    readonly user: string
    /** The subscription in which it is asked. */
    readonly subscription: string | undefined
    readonly key: string
    readonly route: string
    readonly body: unknown
  }
}

/** The person who asks; only for changes that services do not make. */
export const userOf = ({ actor, action }: Caller): string => {
  if (actor.kind !== 'user') throw new Error(`${action} is for people`)
  return actor.id
}

/** What a change came to: its answer, and what the audit log says of it. */
export type Changed<Answer> = {
  readonly answer: Answer
  /** `deployment/<id>` */
  readonly object: string
  readonly detail?: Record<string, unknown>
  /** Set when operators did it to a subscription: their log says so too. */
  readonly byOperators?: true
  /** Set when the answer holds something that is handed out once: it is not kept, and a replay is refused with this code. */
  readonly handedOutOnce?: RefusalCode
}

/**
 * The one way to change anything: the change, its audit entry and the answer for replays are one transaction, in which only
 * `subscription` is seen. The same request with the same key changes nothing again and gets the same answer.
 */
export const change = <Answer>(
  db: Db,
  caller: Caller,
  subscription: string | undefined,
  work: (tx: Tx) => Promise<Changed<Answer>>
): Promise<Answer> => {
  const run = async (tx: Tx): Promise<Answer> => {
    const earlier = await claimKey(tx, caller)
    if (earlier) return earlier.answer as Answer // stored below, by the same request on the same route
    const changed = await work(tx)
    const entry = { ...caller, outcome: 'done', object: changed.object, detail: changed.detail } as const
    await recordAudit(tx, { ...entry, subscription })
    if (changed.byOperators) await recordAudit(tx, entry)
    await keepAnswer(tx, caller, changed)
    return changed.answer
  }
  return subscription === undefined ? inTransaction(db, run) : inSubscription(db, subscription, run)
}

/** Answers what the same request was answered before; refuses another request, and one that is still under way. */
const claimKey = async (tx: Tx, { idempotency }: Caller): Promise<{ answer: unknown } | undefined> => {
  if (!idempotency) return undefined
  const { user, subscription, key } = idempotency
  // Held until this transaction ends, and given up only after its row can be seen.
  const { rows } = await tx.execute<{ mine: boolean }>(
    sql`select pg_try_advisory_xact_lock(hashtextextended(${`${user}/${key}`}, 0)) as mine`
  )
  if (rows[0]?.mine !== true)
    throw refusal('in_progress', 'a request with this Idempotency-Key is still under way; try again in a moment')
  const [found] = await tx
    .select()
    .from(idempotencyKeys)
    .where(
      and(
        eq(idempotencyKeys.userId, user),
        eq(idempotencyKeys.key, key),
        subscription === undefined ? isNull(idempotencyKeys.subscriptionId) : eq(idempotencyKeys.subscriptionId, subscription)
      )
    )
  if (!found) return undefined
  if (found.requestDigest !== requestDigest(idempotency))
    throw refusal('idempotency_key_reused', 'this Idempotency-Key came with another request; nothing was changed, use a new key')
  if (found.replayRefusal !== null)
    throw refusal(
      found.replayRefusal as RefusalCode, // `keepAnswer` wrote it
      'this request was carried out before, and its answer held a key that is handed out once only; ask for a new one'
    )
  return { answer: found.response }
}

const keepAnswer = async (tx: Tx, { idempotency }: Caller, { answer, handedOutOnce }: Changed<unknown>): Promise<void> => {
  if (!idempotency) return
  const { user, subscription, key, route } = idempotency
  await tx.execute(sql`select forget_idempotency_keys()`)
  await tx.insert(idempotencyKeys).values({
    userId: user,
    key,
    subscriptionId: subscription ?? null,
    route,
    requestDigest: requestDigest(idempotency),
    response: handedOutOnce ? null : (answer ?? null),
    replayRefusal: handedOutOnce ?? null
  })
}

const requestDigest = ({ route, body }: { readonly route: string; readonly body: unknown }): string =>
  digestOf({ route, body: body ?? null })
