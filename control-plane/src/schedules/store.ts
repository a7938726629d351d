import { and, asc, desc, eq, gt, inArray, isNull, or, sql } from 'drizzle-orm'
import { builds } from '../builds/schema.ts'
import { thisMoment } from '../operations/steps.ts'
import type { Tx } from '../platform/database.ts'
import { historyMax } from '../platform/lists.ts'
import { scheduleItems } from './schema.ts'

export type ItemRow = { readonly item: typeof scheduleItems.$inferSelect; readonly build: typeof builds.$inferSelect }

/** Newest start first. */
export const listItems = (tx: Tx, deploymentId: string): Promise<ItemRow[]> =>
  select(tx)
    .where(eq(scheduleItems.deploymentId, deploymentId))
    .orderBy(desc(scheduleItems.startsAt), desc(scheduleItems.createdAt), desc(scheduleItems.id))
    .limit(historyMax)

export const findItem = async (tx: Tx, id: string): Promise<ItemRow | undefined> => {
  const [row] = await select(tx).where(eq(scheduleItems.id, id))
  return row
}

/** Items that are not over at `now`: what a new one has to fit in with. */
export const listOpenItems = (tx: Tx, deploymentId: string, now: Date) =>
  tx
    .select()
    .from(scheduleItems)
    .where(
      and(
        eq(scheduleItems.deploymentId, deploymentId),
        isNull(scheduleItems.endedAt),
        or(isNull(scheduleItems.endsAt), gt(scheduleItems.endsAt, now))
      )
    )
    .orderBy(asc(scheduleItems.startsAt))

export const insertItem = async (tx: Tx, row: typeof scheduleItems.$inferInsert): Promise<string | undefined> => {
  const [inserted] = await tx.insert(scheduleItems).values(row).returning({ id: scheduleItems.id })
  return inserted?.id
}

/** Ends items where another starts; one that starts now also says that they are over. */
export const closeItems = async (tx: Tx, ids: readonly string[], endsAt: Date, { over }: { over: boolean }): Promise<void> => {
  if (ids.length === 0) return
  await tx
    .update(scheduleItems)
    .set({ endsAt, ...(over ? { endedAt: endsAt } : {}) })
    .where(inArray(scheduleItems.id, [...ids]))
}

/**
 * The moment at which the schedule of a deployment is changed, whose row the caller has locked: the database's clock, and always
 * after the start of what was started last, so that of two starts at once the later one takes over.
 */
export const scheduleNow = async (tx: Tx, deploymentId: string): Promise<Date> => {
  const { rows } = await tx.execute<{ ms: number }>(
    sql`select floor(extract(epoch from greatest(${thisMoment}, max(starts_at) + interval '1 millisecond')) * 1000)::float8 as ms
        from schedule_items where deployment_id = ${deploymentId} and activated_at is not null`
  )
  return new Date(rows[0]?.ms ?? Number.NaN)
}

const select = (tx: Tx) =>
  tx
    .select({ item: scheduleItems, build: builds })
    .from(scheduleItems)
    .innerJoin(builds, eq(builds.id, scheduleItems.buildId))
    .$dynamic()
