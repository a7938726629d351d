import { and, asc, eq, isNotNull, isNull, lte, or, sql } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { supersedeOpen } from '../operations/steps.ts'
import { type AuditEntry, recordAudit } from '../platform/audit.ts'
import { type Db, inTransaction, type Tx } from '../platform/database.ts'
import { scheduleItems } from '../schedules/schema.ts'
import { startItem } from '../schedules/start.ts'

type Item = typeof scheduleItems.$inferSelect

const isDue = and(isNull(scheduleItems.activatedAt), isNull(scheduleItems.endedAt), lte(scheduleItems.startsAt, sql`now()`))
const isOver = and(isNull(scheduleItems.endedAt), isNotNull(scheduleItems.endsAt), lte(scheduleItems.endsAt, sql`now()`))

/**
 * Starts what is due and ends what is over, on the database's clock; a successor starts before its predecessor ends. Answers whether
 * anything was done. `alone` keeps one item's trouble from the others.
 */
export const keepSchedules = async (
  db: Db,
  alone: (what: string, work: () => Promise<boolean>) => Promise<boolean>
): Promise<boolean> => {
  const due = await db.select().from(scheduleItems).where(or(isDue, isOver)).orderBy(asc(scheduleItems.startsAt))
  let done = false
  for (const step of [start, end])
    for (const item of due)
      if (await alone(`schedule item ${item.id}`, () => inTransaction(db, (tx) => step(tx, item)))) done = true
  return done
}

const start = async (tx: Tx, item: Item): Promise<boolean> => {
  if (!(await lock(tx, item, isDue)) || (await lock(tx, item, isOver))) return false
  const { operationId } = await startItem(tx, item)
  await recordAudit(tx, {
    ...about(item),
    action: 'schedule-items.start',
    outcome: 'started',
    detail: { deployment: item.deploymentId, version: item.version, operation: operationId }
  })
  return true
}

/** What was activated last governs a deployment: when that ends and nothing follows, nothing runs. */
const end = async (tx: Tx, item: Item): Promise<boolean> => {
  if (!(await lock(tx, item, isOver))) return false
  await tx.update(scheduleItems).set({ endedAt: sql`now()` }).where(eq(scheduleItems.id, item.id))
  const [later] = await tx
    .select({ id: scheduleItems.id })
    .from(scheduleItems)
    .where(
      and(eq(scheduleItems.deploymentId, item.deploymentId), isNull(scheduleItems.endedAt), isNotNull(scheduleItems.activatedAt))
    )
    .limit(1)
  if (!later && item.activatedAt !== null) {
    await supersedeOpen(tx, item.deploymentId)
    await tx
      .update(deployments)
      .set({ liveReleaseId: null, warmReleaseId: null, baking: false, bakeUntil: null })
      .where(eq(deployments.id, item.deploymentId))
  }
  await recordAudit(tx, {
    ...about(item),
    action: 'schedule-items.end',
    outcome: 'done',
    detail: { deployment: item.deploymentId, nothingFollows: !later }
  })
  return true
}

/** The deployment first, as everybody does, then the item: whether it still is as it was found. */
const lock = async (tx: Tx, item: Item, condition: typeof isDue): Promise<boolean> => {
  await tx.select({ id: deployments.id }).from(deployments).where(eq(deployments.id, item.deploymentId)).for('update')
  const [row] = await tx
    .select({ id: scheduleItems.id })
    .from(scheduleItems)
    .where(and(eq(scheduleItems.id, item.id), condition))
    .for('update')
  return row !== undefined
}

const about = ({ subscriptionId, id }: Item) =>
  ({
    subscription: subscriptionId,
    actor: { kind: 'service', id: 'service:writer' },
    object: `schedule-item/${id}`
  }) satisfies Partial<AuditEntry>
