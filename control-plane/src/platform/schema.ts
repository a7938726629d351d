import { sql } from 'drizzle-orm'
import {
  bigserial,
  customType,
  index,
  jsonb,
  pgPolicy,
  pgRole,
  pgTable,
  text,
  timestamp,
  unique,
  uuid
} from 'drizzle-orm/pg-core'

/** The database roles of the services. None owns anything; `platform/roles.ts` says what each may do. */
export const apiRole = pgRole('berth_api').existing()

/** A moment on the database's clock, to the millisecond, so that it comes back from JavaScript as it went. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date', precision: 3 })

export const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' })

/** Every table whose rows belong to a subscription begins with this. A test fails for one that has it without the policy. */
export const subscriptionOwned = { subscriptionId: uuid('subscription_id').notNull() }

/**
 * The API sees one subscription's rows. The setting is the empty string on a used connection outside `inSubscription`, and then
 * the cast fails loudly instead of finding nothing.
 */
export const subscriptionIsolation = (column = 'subscription_id') =>
  pgPolicy('subscription_isolation', {
    as: 'permissive',
    for: 'all',
    to: apiRole,
    using: sql.raw(`${column} = current_setting('app.subscription_id')::uuid`),
    withCheck: sql.raw(`${column} = current_setting('app.subscription_id')::uuid`)
  })

export type AuditOutcome = 'done' | 'refused' | 'started' | 'failed'

/**
 * Every change and every refusal, written in the transaction of the change. No service may update or delete a row.
 * Entries without a subscription are the operators' log.
 */
export const auditEntries = pgTable(
  'audit_entries',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    subscriptionId: uuid('subscription_id'),
    at: instant('at').notNull().defaultNow(),
    actor: text('actor').notNull(),
    actorKind: text('actor_kind').$type<'user' | 'service' | 'stranger'>().notNull(),
    action: text('action').notNull(),
    object: text('object'),
    outcome: text('outcome').$type<AuditOutcome>().notNull(),
    detail: jsonb('detail').$type<Record<string, unknown>>().notNull().default({}),
    requestId: text('request_id'),
    source: text('source')
  },
  (t) => [
    index('audit_entries_of_subscription').on(t.subscriptionId, t.id),
    // `case`, not `or`: the setting must not be looked at for an entry of the operators' log.
    pgPolicy('own_entries_are_added', {
      for: 'insert',
      to: apiRole,
      withCheck: sql`case when subscription_id is null then true else subscription_id = current_setting('app.subscription_id')::uuid end`
    }),
    pgPolicy('own_entries_are_read', {
      for: 'select',
      to: apiRole,
      using: sql`subscription_id = current_setting('app.subscription_id')::uuid`
    })
  ]
)

// Where no subscription was chosen the setting is missing, or empty on a used connection: then only rows of none are seen.
const answersSeen = sql.raw(
  `subscription_id is null or subscription_id = nullif(current_setting('app.subscription_id', true), '')::uuid`
)

/**
 * What a change answered, kept for a day so that the same request with the same key changes nothing twice. Never a key or a token.
 * Answers given in a subscription are seen in it only; those of none hold nothing of a subscription but what its maker said.
 */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    userId: uuid('user_id').notNull(),
    key: uuid('key').notNull(),
    /** Where it was asked; nothing for what belongs to the platform. */
    subscriptionId: uuid('subscription_id'),
    route: text('route').notNull(),
    requestDigest: text('request_digest').notNull(),
    /** Null where the answer held something that is handed out once only: then a replay is refused with `replayRefusal`. */
    response: jsonb('response').$type<unknown>(),
    replayRefusal: text('replay_refusal'),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [
    unique('one_use_of_a_key').on(t.userId, t.key, t.subscriptionId).nullsNotDistinct(),
    index('idempotency_keys_by_age').on(t.createdAt),
    pgPolicy('own_answers', { for: 'all', to: apiRole, using: answersSeen, withCheck: answersSeen })
  ]
)
