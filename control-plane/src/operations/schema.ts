import type { Reason } from '@berth/shared/api/common'
import type { OperationKind, OperationState, OperationStep } from '@berth/shared/api/operations'
import { sql } from 'drizzle-orm'
import { foreignKey, index, integer, jsonb, pgTable, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { deployments } from '../deployments/schema.ts'
import { instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'

/** Acts of change. The API queues them, the writer carries them on. */
export const operations = pgTable(
  'operations',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    deploymentId: uuid('deployment_id').notNull(),
    kind: text('kind').$type<OperationKind>().notNull(),
    releaseId: uuid('release_id'),
    state: text('state').$type<OperationState>().notNull().default('queued'),
    reason: jsonb('reason').$type<Reason>(),
    blocker: text('blocker'),
    attempt: integer('attempt').notNull().default(0),
    createdBy: uuid('created_by'),
    createdAt: instant('created_at').notNull().defaultNow(),
    stateSince: instant('state_since').notNull().defaultNow(),
    startedAt: instant('started_at'),
    finishedAt: instant('finished_at'),
    steps: jsonb('steps').$type<OperationStep[]>().notNull().default([])
  },
  (t) => [
    subscriptionIsolation(),
    // A deployment has at most one operation on its way; PostgreSQL, not a service, is the judge of races.
    uniqueIndex('one_open_operation_per_deployment').on(t.deploymentId).where(sql`state in ('queued', 'preparing', 'switching')`),
    index('operations_of_deployment').on(t.deploymentId, t.createdAt),
    foreignKey({
      name: 'operations_deployment',
      columns: [t.subscriptionId, t.deploymentId],
      foreignColumns: [deployments.subscriptionId, deployments.id]
    })
  ]
)
