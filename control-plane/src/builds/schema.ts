import type { BuildStatus } from '@berth/shared/api/builds'
import type { BuildRef } from '@berth/shared/build'
import { bigint, jsonb, pgTable, text, unique, uuid } from 'drizzle-orm/pg-core'
import { instant } from '../platform/schema.ts'

/** What operators offer to run versions on: the platform's, no subscription's. */
export const builds = pgTable(
  'builds',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    name: text('name').notNull(),
    version: text('version').notNull(),
    platform: text('platform').notNull(),
    digest: text('digest').notNull(),
    size: bigint('size', { mode: 'number' }).notNull(),
    requires: jsonb('requires').$type<BuildRef[]>().notNull().default([]),
    status: text('status').$type<BuildStatus>().notNull().default('offered'),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [unique('builds_name').on(t.name, t.version, t.platform)]
)
