import { asc, eq } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { listMax } from '../platform/lists.ts'
import { applications } from './schema.ts'

export type ApplicationRow = typeof applications.$inferSelect

export const listApplications = (tx: Tx): Promise<ApplicationRow[]> =>
  tx.select().from(applications).orderBy(asc(applications.createdAt), asc(applications.id)).limit(listMax)

export const findApplication = async (tx: Tx, id: string): Promise<ApplicationRow | undefined> => {
  const [row] = await tx.select().from(applications).where(eq(applications.id, id))
  return row
}

/** Answers nothing when the account has an application of this name. */
export const insertApplication = async (
  tx: Tx,
  row: { subscriptionId: string; accountId: string; name: string }
): Promise<ApplicationRow | undefined> => {
  const [inserted] = await tx.insert(applications).values(row).onConflictDoNothing().returning()
  return inserted
}
