import type { Reason } from '@berth/shared/api/common'
import { and, asc, count, eq, inArray, isNull, sql } from 'drizzle-orm'
import { builds } from '../builds/schema.ts'
import { deployments } from '../deployments/schema.ts'
import { fleetPacks, fleets } from '../fleets/schema.ts'
import type { Tx } from '../platform/database.ts'
import { releases } from '../releases/schema.ts'
import type { FleetToPlaceOn } from '../sites/placement.ts'
import { hostNames, sites } from '../sites/schema.ts'
import { versionPacks, versions } from '../versions/schema.ts'

/** Requests that wait for a package, the oldest first. */
export const listRequested = (tx: Tx, limit: number): Promise<{ id: string; subscriptionId: string }[]> =>
  tx
    .select({ id: releases.id, subscriptionId: releases.subscriptionId })
    .from(releases)
    .where(eq(releases.status, 'requested'))
    .orderBy(asc(releases.createdAt))
    .limit(limit)

/** Everything that a package is made of, but for what lies in the object store. */
export const findRequest = async (tx: Tx, id: string) => {
  const [row] = await tx
    .select({ release: releases, deployment: deployments, site: sites, version: versions, build: builds })
    .from(releases)
    .innerJoin(deployments, eq(deployments.id, releases.deploymentId))
    .innerJoin(sites, eq(sites.id, deployments.siteId))
    .innerJoin(versions, and(eq(versions.applicationId, deployments.applicationId), eq(versions.number, releases.version)))
    .innerJoin(builds, eq(builds.id, releases.buildId))
    .where(and(eq(releases.id, id), eq(releases.status, 'requested')))
  if (!row) return undefined
  const names = await tx.select({ host: hostNames.host }).from(hostNames).where(eq(hostNames.siteId, row.site.id))
  const packs = await tx
    .select({ pack: versionPacks.pack, bytes: versionPacks.bytes })
    .from(versionPacks)
    .where(eq(versionPacks.versionId, row.version.id))
  return { ...row, hostNames: names.map(({ host }) => host).sort(), packs }
}
export type PackageRequest = NonNullable<Awaited<ReturnType<typeof findRequest>>>

/** The fleets that a site could be placed on, with how many sites each has. */
export const listFleetsToPlaceOn = (tx: Tx): Promise<FleetToPlaceOn[]> =>
  tx
    .select({
      id: fleets.id,
      region: fleets.region,
      tenancy: fleets.tenancy,
      status: fleets.status,
      servers: fleets.servers,
      sites: count(sites.id)
    })
    .from(fleets)
    .leftJoin(sites, eq(sites.fleetId, fleets.id))
    .groupBy(fleets.id)

/** Places a site that has no fleet; the first placement stays. Answers the fleet that it has then. */
export const placeSite = async (tx: Tx, siteId: string, fleetId: string): Promise<string> => {
  await tx
    .update(sites)
    .set({ fleetId })
    .where(and(eq(sites.id, siteId), isNull(sites.fleetId)))
  const [site] = await tx.select({ fleetId: sites.fleetId }).from(sites).where(eq(sites.id, siteId))
  return site?.fleetId ?? fleetId
}

/** The incarnation of each pack's copy in the fleet; one that is new begins at 1. */
export const putFleetPacks = async (tx: Tx, fleetId: string, packs: readonly string[]): Promise<ReadonlyMap<string, number>> => {
  if (packs.length === 0) return new Map()
  await tx
    .insert(fleetPacks)
    .values(packs.map((pack) => ({ fleetId, pack, incarnation: 1 })))
    .onConflictDoNothing()
  const rows = await tx
    .select()
    .from(fleetPacks)
    .where(and(eq(fleetPacks.fleetId, fleetId), inArray(fleetPacks.pack, [...packs])))
  return new Map(rows.map(({ pack, incarnation }) => [pack, incarnation]))
}

export const findBuildByRef = async (tx: Tx, name: string, version: string, platform: string) => {
  const [row] = await tx
    .select()
    .from(builds)
    .where(and(eq(builds.name, name), eq(builds.version, version), eq(builds.platform, platform)))
  return row
}

/** Answers false when the release was no longer waiting. */
export const markPackaged = async (
  tx: Tx,
  id: string,
  packaged: Required<Pick<typeof releases.$inferInsert, 'tuple' | 'digest' | 'packageDigest' | 'fleetId'>>
): Promise<boolean> => {
  const changed = await tx
    .update(releases)
    .set({ ...packaged, status: 'packaged' })
    .where(and(eq(releases.id, id), eq(releases.status, 'requested')))
    .returning({ id: releases.id })
  return changed.length > 0
}

/** A release that can never be packaged says why. */
export const markFailed = async (tx: Tx, id: string, reason: Reason): Promise<boolean> => {
  const changed = await tx
    .update(releases)
    .set({ status: 'failed', reason: sql`${JSON.stringify(reason)}::jsonb` })
    .where(and(eq(releases.id, id), eq(releases.status, 'requested')))
    .returning({ id: releases.id })
  return changed.length > 0
}
