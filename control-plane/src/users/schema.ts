import type { GrantRole } from '@berth/shared/api/users'
import { boolean, index, pgTable, text, unique, uuid } from 'drizzle-orm/pg-core'
import { instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'

/** People. `email` is lower case. */
export const users = pgTable('users', {
  id: uuid('id').primaryKey().defaultRandom(),
  email: text('email').notNull().unique(),
  name: text('name').notNull(),
  passwordHash: text('password_hash').notNull(),
  operator: boolean('operator').notNull().default(false),
  createdAt: instant('created_at').notNull().defaultNow()
})

/** Bearer tokens: `id` is the middle part of `berth_<id>_<secret>`, `tokenHash` the SHA-256 of the secret. */
export const sessions = pgTable(
  'sessions',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    tokenHash: text('token_hash').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull()
  },
  (t) => [index('sessions_of_user').on(t.userId)]
)

/** Who holds which role in a subscription. */
export const grants = pgTable(
  'grants',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    role: text('role').$type<GrantRole>().notNull(),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [subscriptionIsolation(), unique('one_grant_of_a_role').on(t.userId, t.subscriptionId, t.role)]
)
