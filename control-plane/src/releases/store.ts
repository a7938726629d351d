import { and, desc, eq, inArray } from 'drizzle-orm'
import { builds } from '../builds/schema.ts'
import { thisMoment } from '../operations/steps.ts'
import type { Tx } from '../platform/database.ts'
import { historyMax } from '../platform/lists.ts'
import { releases } from './schema.ts'

export type ReleaseRow = typeof releases.$inferSelect

/** Newest first. */
export const listReleases = (tx: Tx, deploymentId: string) =>
  tx
    .select({ release: releases, build: builds })
    .from(releases)
    .innerJoin(builds, eq(builds.id, releases.buildId))
    .where(eq(releases.deploymentId, deploymentId))
    .orderBy(desc(releases.createdAt), desc(releases.id))
    .limit(historyMax)

/** Only one of this deployment. */
export const findRelease = async (tx: Tx, deploymentId: string, id: string): Promise<ReleaseRow | undefined> => {
  const [row] = await tx
    .select()
    .from(releases)
    .where(and(eq(releases.deploymentId, deploymentId), eq(releases.id, id)))
  return row
}

/** Those that were live on the whole fleet, the last first. */
export const listOnceLive = (tx: Tx, deploymentId: string): Promise<ReleaseRow[]> =>
  tx
    .select()
    .from(releases)
    .where(and(eq(releases.deploymentId, deploymentId), eq(releases.wasLive, true)))
    .orderBy(desc(releases.liveAt))
    .limit(historyMax)

export const findReleases = async (tx: Tx, deploymentId: string, digests: readonly string[]): Promise<ReleaseRow[]> =>
  digests.length === 0
    ? []
    : tx
        .select()
        .from(releases)
        .where(and(eq(releases.deploymentId, deploymentId), inArray(releases.digest, [...digests])))
        .orderBy(desc(releases.createdAt))

/** Asks the sealer for a release that is like another one, for the fleet on which the site is now. */
export const requestAgain = async (
  tx: Tx,
  { subscriptionId, deploymentId, version, buildId, intent }: ReleaseRow
): Promise<ReleaseRow | undefined> => {
  const [row] = await tx
    .insert(releases)
    .values({ subscriptionId, deploymentId, version, buildId, intent, createdAt: thisMoment })
    .returning()
  return row
}
