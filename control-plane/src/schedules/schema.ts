import type { LoggingLevel } from '@berth/shared/api/schedules'
import { foreignKey, index, integer, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import { builds } from '../builds/schema.ts'
import { deployments } from '../deployments/schema.ts'
import { instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'

/** From a start until an optional end: this version on this build. `activatedAt` is when it became an operation. */
export const scheduleItems = pgTable(
  'schedule_items',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    deploymentId: uuid('deployment_id').notNull(),
    version: integer('version').notNull(),
    buildId: uuid('build_id')
      .notNull()
      .references(() => builds.id),
    loggingLevel: text('logging_level').$type<LoggingLevel>().notNull().default('information'),
    startsAt: instant('starts_at').notNull(),
    endsAt: instant('ends_at'),
    activatedAt: instant('activated_at'),
    endedAt: instant('ended_at'),
    operationId: uuid('operation_id'),
    createdBy: uuid('created_by').notNull(),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [
    subscriptionIsolation(),
    index('schedule_items_of_deployment').on(t.deploymentId, t.startsAt),
    foreignKey({
      name: 'schedule_items_deployment',
      columns: [t.subscriptionId, t.deploymentId],
      foreignColumns: [deployments.subscriptionId, deployments.id]
    })
  ]
)
