import { asc, desc } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { listMax } from '../platform/lists.ts'
import { builds } from './schema.ts'

export type BuildRow = typeof builds.$inferSelect

export const listBuilds = (tx: Tx): Promise<BuildRow[]> =>
  tx.select().from(builds).orderBy(asc(builds.name), desc(builds.createdAt), desc(builds.id)).limit(listMax)

/** Answers nothing when this name, version and platform are offered already. */
export const insertBuild = async (
  tx: Tx,
  row: Omit<typeof builds.$inferInsert, 'id' | 'status' | 'createdAt'>
): Promise<BuildRow | undefined> => {
  const [inserted] = await tx.insert(builds).values(row).onConflictDoNothing().returning()
  return inserted
}
