import { asc, eq, inArray } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { listMax } from '../platform/lists.ts'
import { hostNames, sites } from './schema.ts'

export type SiteRow = typeof sites.$inferSelect

export const listSites = (tx: Tx): Promise<SiteRow[]> =>
  tx.select().from(sites).orderBy(asc(sites.createdAt), asc(sites.id)).limit(listMax)

export const findSite = async (tx: Tx, id: string): Promise<SiteRow | undefined> => {
  const [row] = await tx.select().from(sites).where(eq(sites.id, id))
  return row
}

/** Answers nothing when the subscription has a site of this name. */
export const insertSite = async (tx: Tx, row: { subscriptionId: string; name: string; region: string }) => {
  const [inserted] = await tx.insert(sites).values(row).onConflictDoNothing().returning()
  return inserted
}

/** Answers whether the name was free on the whole platform, and now is this site's. */
export const claimHostName = async (tx: Tx, row: typeof hostNames.$inferInsert): Promise<boolean> =>
  (await tx.insert(hostNames).values(row).onConflictDoNothing().returning({ host: hostNames.host })).length === 1

/** Host names by site; those that people chose come first. */
export const hostNamesOf = async (tx: Tx, siteIds: readonly string[]): Promise<ReadonlyMap<string, string[]>> => {
  if (siteIds.length === 0) return new Map()
  const rows = await tx
    .select()
    .from(hostNames)
    .where(inArray(hostNames.siteId, [...siteIds]))
    .orderBy(asc(hostNames.generated), asc(hostNames.host))
  return new Map(siteIds.map((id) => [id, rows.filter(({ siteId }) => siteId === id).map(({ host }) => host)]))
}
