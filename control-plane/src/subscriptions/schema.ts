import type { Status } from '@berth/shared/api/common'
import { pgTable, text, uuid } from 'drizzle-orm/pg-core'
import { instant, subscriptionIsolation } from '../platform/schema.ts'
import { users } from '../users/schema.ts'

/** The tenants. The sealer makes a subscription's keys and then sets `keysMadeAt`: only it may write below `keys/`. */
export const subscriptions = pgTable(
  'subscriptions',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    name: text('name').notNull(),
    status: text('status').$type<Status>().notNull().default('active'),
    primaryContactId: uuid('primary_contact_id')
      .notNull()
      .references(() => users.id),
    keysMadeAt: instant('keys_made_at'),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  () => [subscriptionIsolation('id')]
)
