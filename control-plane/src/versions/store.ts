import { and, desc, eq } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { listMax } from '../platform/lists.ts'
import { versions } from './schema.ts'

export type VersionRow = typeof versions.$inferSelect

/** Newest first. */
export const listVersions = (tx: Tx, applicationId: string): Promise<VersionRow[]> =>
  tx.select().from(versions).where(eq(versions.applicationId, applicationId)).orderBy(desc(versions.number)).limit(listMax)

export const findVersion = async (tx: Tx, applicationId: string, number: number): Promise<VersionRow | undefined> => {
  const [row] = await tx
    .select()
    .from(versions)
    .where(and(eq(versions.applicationId, applicationId), eq(versions.number, number)))
  return row
}
