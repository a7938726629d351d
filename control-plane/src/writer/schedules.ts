import { and, asc, eq, isNotNull, isNull, lte, sql } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { supersedeOpen } from '../operations/steps.ts'
import { type AuditEntry, recordAudit } from '../platform/audit.ts'
import { type Db, inTransaction, type Tx } from '../platform/database.ts'
import { scheduleItems } from '../schedules/schema.ts'
import { startItem } from '../schedules/start.ts'

type Item = typeof scheduleItems.$inferSelect

const isDue = and(isNull(scheduleItems.activatedAt), isNull(scheduleItems.endedAt), lte(scheduleItems.startsAt, sql`now()`))
const isOver = and(isNull(scheduleItems.endedAt), isNotNull(scheduleItems.endsAt), lte(scheduleItems.endsAt, sql`now()`))

/** Starts what is due and ends what is over, on the database's clock; a successor starts before its predecessor ends. */
export const keepSchedules = async (db: Db): Promise<void> => {
  for (const item of await db.select().from(scheduleItems).where(isDue).orderBy(asc(scheduleItems.startsAt)))
    await inTransaction(db, (tx) => start(tx, item))
  for (const item of await db.select().from(scheduleItems).where(isOver)) await inTransaction(db, (tx) => end(tx, item))
}

const start = async (tx: Tx, item: Item): Promise<void> => {
  if (!(await lock(tx, item, isDue)) || (await lock(tx, item, isOver))) return
  const { operationId } = await startItem(tx, item)
  await recordAudit(tx, {
    ...about(item),
    action: 'schedule-items.start',
    outcome: 'started',
    detail: { deployment: item.deploymentId, version: item.version, operation: operationId }
  })
}

/** What was activated last governs a deployment: when that ends and nothing follows, nothing runs. */
const end = async (tx: Tx, item: Item): Promise<void> => {
  if (!(await lock(tx, item, isOver))) return
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
