import type { Status } from '@berth/shared/api/common'
import { foreignKey, integer, pgTable, text, unique, uuid } from 'drizzle-orm/pg-core'
import { accounts } from '../accounts/schema.ts'
import { instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'

/** What is published. `lastVersion` is raised by the sealer under the row's lock. */
export const applications = pgTable(
  'applications',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    accountId: uuid('account_id').notNull(),
    name: text('name').notNull(),
    status: text('status').$type<Status>().notNull().default('active'),
    lastVersion: integer('last_version').notNull().default(0),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [
    subscriptionIsolation(),
    unique('applications_name').on(t.accountId, t.name),
    unique('applications_in_subscription').on(t.subscriptionId, t.id),
    // With the subscription in the key, no row can hang off another subscription's, whatever a query forgot.
    foreignKey({
      name: 'applications_account',
      columns: [t.subscriptionId, t.accountId],
      foreignColumns: [accounts.subscriptionId, accounts.id]
    })
  ]
)
