import type { Status } from '@berth/shared/api/common'
import { pgTable, text, unique, uuid } from 'drizzle-orm/pg-core'
import { instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'

/** Named collections of applications and deployments. */
export const accounts = pgTable(
  'accounts',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    name: text('name').notNull(),
    status: text('status').$type<Status>().notNull().default('active'),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [
    subscriptionIsolation(),
    unique('accounts_name').on(t.subscriptionId, t.name),
    unique('accounts_in_subscription').on(t.subscriptionId, t.id)
  ]
)
