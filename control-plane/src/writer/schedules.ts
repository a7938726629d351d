import { and, asc, eq, gt, isNotNull, isNull, lte, ne, or, type SQL } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { supersedeOpen, thisMoment } from '../operations/steps.ts'
import { type AuditEntry, recordAudit } from '../platform/audit.ts'
import { type Db, inTransaction, type Tx } from '../platform/database.ts'
import { scheduleItems } from '../schedules/schema.ts'
import { startItem } from '../schedules/start.ts'

type Item = typeof scheduleItems.$inferSelect

const isDue = and(isNull(scheduleItems.activatedAt), isNull(scheduleItems.endedAt), lte(scheduleItems.startsAt, thisMoment))
const isOver = and(isNull(scheduleItems.endedAt), isNotNull(scheduleItems.endsAt), lte(scheduleItems.endsAt, thisMoment))
/** Due, and not over before anybody could start it. */
const isToStart = and(isDue, or(isNull(scheduleItems.endsAt), gt(scheduleItems.endsAt, thisMoment)))

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

const start = async (tx: Tx, found: Item): Promise<boolean> => {
  const item = await lock(tx, found, isToStart)
  if (!item) return false
  const { operationId } = await startItem(tx, { ...item, kind: 'deploy' })
  await recordAudit(tx, {
    ...about(item),
    action: 'schedule-items.start',
    outcome: 'started',
    detail: { deployment: item.deploymentId, version: item.version, operation: operationId }
  })
  return true
}

/**
 * What was activated last governs a deployment: when that ends and nothing follows, nothing runs. A successor that is due ends it by
 * its own start: as long as that does not succeed, what runs goes on.
 */
const end = async (tx: Tx, found: Item): Promise<boolean> => {
  const item = await lock(tx, found, isOver)
  if (!item || (await hasOther(tx, item, isToStart))) return false
  await tx.update(scheduleItems).set({ endedAt: thisMoment }).where(eq(scheduleItems.id, item.id))
  const later = await hasOther(tx, item, and(isNull(scheduleItems.endedAt), isNotNull(scheduleItems.activatedAt)))
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

const hasOther = async (tx: Tx, { id, deploymentId }: Item, condition: SQL | undefined): Promise<boolean> => {
  const [other] = await tx
    .select({ id: scheduleItems.id })
    .from(scheduleItems)
    .where(and(eq(scheduleItems.deploymentId, deploymentId), ne(scheduleItems.id, id), condition))
    .limit(1)
  return other !== undefined
}

/** The deployment first, as everybody does, then the item: as it is now, when the condition that it was found by still holds. */
const lock = async (tx: Tx, item: Item, condition: SQL | undefined): Promise<Item | undefined> => {
  await tx.select({ id: deployments.id }).from(deployments).where(eq(deployments.id, item.deploymentId)).for('update')
  const [row] = await tx
    .select()
    .from(scheduleItems)
    .where(and(eq(scheduleItems.id, item.id), condition))
    .for('update')
  return row
}

const about = ({ subscriptionId, id }: Item) =>
  ({
    subscription: subscriptionId,
    actor: { kind: 'service', id: 'service:writer' },
    object: `schedule-item/${id}`
  }) satisfies Partial<AuditEntry>
