import type { BuildRef } from '@berth/shared/build'
import type { Refusal } from '@berth/shared/refusal'
import type { ReleaseTuple } from '@berth/shared/release'
import { and, eq, inArray, isNull, sql } from 'drizzle-orm'
import { builds } from '../builds/schema.ts'
import { deployments } from '../deployments/schema.ts'
import { fleetPacks, fleets } from '../fleets/schema.ts'
import { type AuditEntry, recordAudit } from '../platform/audit.ts'
import { type Db, hint, inTransaction, type Tx } from '../platform/database.ts'
import { releases } from '../releases/schema.ts'
import { place } from '../sites/placement.ts'
import { hostNames, sites } from '../sites/schema.ts'
import { versionPacks, versions } from '../versions/schema.ts'

export type ReleaseToPackage = {
  readonly release: typeof releases.$inferSelect
  readonly deployment: typeof deployments.$inferSelect
  readonly site: typeof sites.$inferSelect
  readonly build: typeof builds.$inferSelect
  readonly version: typeof versions.$inferSelect | null
  readonly hostNames: readonly string[]
  readonly packs: readonly { readonly pack: string; readonly bytes: number }[]
}

const isRequested = (id: string) => and(eq(releases.id, id), eq(releases.status, 'requested'))

/** The release with all rows that its package is made of, when it still waits for one. */
export const findRequested = (db: Db, id: string): Promise<ReleaseToPackage | undefined> =>
  inTransaction(
    db,
    async (tx) => {
      const [found] = await tx
        .select({ release: releases, deployment: deployments, site: sites, build: builds, version: versions })
        .from(releases)
        .innerJoin(deployments, eq(deployments.id, releases.deploymentId))
        .innerJoin(sites, eq(sites.id, deployments.siteId))
        .innerJoin(builds, eq(builds.id, releases.buildId))
        .leftJoin(versions, and(eq(versions.applicationId, deployments.applicationId), eq(versions.number, releases.version)))
        .where(isRequested(id))
      if (!found) return undefined
      const names = await tx.select({ host: hostNames.host }).from(hostNames).where(eq(hostNames.siteId, found.site.id))
      const packs = found.version
        ? await tx
            .select({ pack: versionPacks.pack, bytes: versionPacks.bytes })
            .from(versionPacks)
            .where(eq(versionPacks.versionId, found.version.id))
        : []
      return { ...found, hostNames: names.map(({ host }) => host).toSorted(), packs }
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' }
  )

/** Gives a site its fleet, once; nothing while none fits. */
export const placeSite = (db: Db, { id }: typeof sites.$inferSelect): Promise<string | undefined> =>
  inTransaction(db, async (tx) => {
    const [site] = await tx.select().from(sites).where(eq(sites.id, id)).for('update')
    if (!site || site.fleetId !== null) return site?.fleetId ?? undefined
    const placement = place(site, await listFleets(tx))
    if (placement.kind === 'unplaced') return undefined
    await tx
      .update(sites)
      .set({ fleetId: placement.fleet })
      .where(and(eq(sites.id, id), isNull(sites.fleetId)))
    await recordAudit(tx, {
      subscription: site.subscriptionId,
      actor,
      action: 'sites.place',
      object: `site/${id}`,
      outcome: 'done',
      detail: { fleet: placement.fleet }
    })
    await hint(tx, 'provisioner')
    return placement.fleet
  })

const listFleets = async (tx: Tx) => {
  const rows = await tx.select().from(fleets)
  const counts = await tx.select({ fleet: sites.fleetId, sites: sql<number>`count(*)::int` }).from(sites).groupBy(sites.fleetId)
  const sitesOf = new Map(counts.map(({ fleet, sites: count }) => [fleet, count]))
  return rows.map((row) => ({ ...row, sites: sitesOf.get(row.id) ?? 0 }))
}

export type FleetPack = { readonly pack: string; readonly bytes: number; readonly incarnation: number }

/** The copies of these packs that the fleet has, by name. */
export const findFleetPacks = async (db: Db, fleet: string, packs: readonly string[]): Promise<ReadonlyMap<string, number>> => {
  if (packs.length === 0) return new Map()
  const rows = await inTransaction(db, (tx) =>
    tx
      .select()
      .from(fleetPacks)
      .where(and(eq(fleetPacks.fleetId, fleet), inArray(fleetPacks.pack, [...packs])))
  )
  return new Map(rows.map(({ pack, incarnation }) => [pack, incarnation]))
}

/** Notes copies that are complete. */
export const recordFleetPacks = (db: Db, fleet: string, packs: readonly FleetPack[]): Promise<void> =>
  inTransaction(db, async (tx) => {
    if (packs.length === 0) return
    await tx
      .insert(fleetPacks)
      .values(packs.map(({ pack, incarnation }) => ({ fleetId: fleet, pack, incarnation })))
      .onConflictDoNothing()
  })

export type Packaged = {
  readonly fleet: string
  readonly tuple: ReleaseTuple
  readonly digest: string
  readonly packageDigest: string
}

/** Makes the package count, and tells the writer. */
export const commitPackage = (db: Db, { release }: ReleaseToPackage, packaged: Packaged): Promise<void> =>
  inTransaction(db, async (tx) => {
    const { fleet, tuple, digest, packageDigest } = packaged
    const changed = await tx
      .update(releases)
      .set({ status: 'packaged', fleetId: fleet, tuple, digest, packageDigest })
      .where(isRequested(release.id))
      .returning({ id: releases.id })
    if (changed.length === 0) return
    await recordAudit(tx, {
      ...about(release),
      action: 'releases.package',
      outcome: 'done',
      detail: { fleet, digest, packageDigest }
    })
    await hint(tx, 'writer')
  })

/** Gives a release up that can never be packaged, and says why. */
export const failRelease = (db: Db, { release }: ReleaseToPackage, { code, message }: Refusal): Promise<void> =>
  inTransaction(db, async (tx) => {
    const changed = await tx
      .update(releases)
      .set({ status: 'failed', reason: { code, message } })
      .where(isRequested(release.id))
      .returning({ id: releases.id })
    if (changed.length === 0) return
    await recordAudit(tx, { ...about(release), action: 'releases.package', outcome: 'failed', detail: { code, message } })
    await hint(tx, 'writer')
  })

/** A build row as everything signed names it. */
export const buildRef = ({ name, version, platform, digest }: typeof builds.$inferSelect): BuildRef => ({
  name,
  version,
  platform,
  digest
})

const actor = { kind: 'service', id: 'service:sealer' } as const
const about = ({ id, subscriptionId }: typeof releases.$inferSelect) =>
  ({ subscription: subscriptionId, actor, object: `release/${id}` }) satisfies Partial<AuditEntry>
