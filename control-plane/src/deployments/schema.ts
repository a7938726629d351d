import type { Status } from '@berth/shared/api/common'
import type { KeepWarm, PoolSettings, Probe, Settings } from '@berth/shared/fields'
import { boolean, foreignKey, integer, jsonb, pgTable, text, unique, uuid } from 'drizzle-orm/pg-core'
import { accounts } from '../accounts/schema.ts'
import { applications } from '../applications/schema.ts'
import { instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'
import { sites } from '../sites/schema.ts'

/**
 * This application on this site at this path. `liveReleaseId` and `warmReleaseId` are what the writer made so; `lastOperationId` and
 * `attempt` are what servers remember a fallback against.
 */
export const deployments = pgTable(
  'deployments',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    accountId: uuid('account_id').notNull(),
    applicationId: uuid('application_id').notNull(),
    siteId: uuid('site_id').notNull(),
    name: text('name').notNull(),
    path: text('path').notNull(),
    status: text('status').$type<Status>().notNull().default('active'),
    settings: jsonb('settings').$type<Settings>().notNull(),
    pool: jsonb('pool').$type<PoolSettings>().notNull(),
    probe: jsonb('probe').$type<Probe>().notNull(),
    keepWarm: text('keep_warm').$type<KeepWarm>().notNull(),
    bakeSeconds: integer('bake_seconds').notNull().default(60),
    liveReleaseId: uuid('live_release_id'),
    warmReleaseId: uuid('warm_release_id'),
    lastOperationId: uuid('last_operation_id'),
    attempt: integer('attempt').notNull().default(0),
    baking: boolean('baking').notNull().default(false),
    bakeUntil: instant('bake_until'),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [
    subscriptionIsolation(),
    unique('deployments_path').on(t.siteId, t.path),
    unique('deployments_name').on(t.accountId, t.name),
    unique('deployments_in_subscription').on(t.subscriptionId, t.id),
    foreignKey({
      name: 'deployments_account',
      columns: [t.subscriptionId, t.accountId],
      foreignColumns: [accounts.subscriptionId, accounts.id]
    }),
    foreignKey({
      name: 'deployments_application',
      columns: [t.subscriptionId, t.applicationId],
      foreignColumns: [applications.subscriptionId, applications.id]
    }),
    foreignKey({
      name: 'deployments_site',
      columns: [t.subscriptionId, t.siteId],
      foreignColumns: [sites.subscriptionId, sites.id]
    })
  ]
)
