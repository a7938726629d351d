import { and, eq, inArray, isNotNull, sql } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { fleets } from '../fleets/schema.ts'
import type { FleetSnapshot } from '../heads/writer.ts'
import { operations } from '../operations/schema.ts'
import { type Db, inTransaction, type Tx } from '../platform/database.ts'
import { releases } from '../releases/schema.ts'
import { hostNames, sites } from '../sites/schema.ts'
import type { DeploymentRow, ReleaseRow } from './render.ts'

/**
 * One look at all rows that a fleet's body is made of, with the revision that they belong to. Which columns count is also said by
 * the triggers that raise the revision (migration 0002): a column more here is one more there.
 */
export const readSnapshot = (db: Db, fleet: string): Promise<FleetSnapshot | undefined> =>
  inTransaction(
    db,
    async (tx) => {
      const [row] = await tx.select().from(fleets).where(eq(fleets.id, fleet))
      if (!row) return undefined
      const shown = await tx
        .select({ id: sites.id, subscription: sites.subscriptionId })
        .from(sites)
        .where(and(eq(sites.fleetId, fleet), eq(sites.status, 'active')))
      const names = await tx
        .select({ host: hostNames.host, site: hostNames.siteId })
        .from(hostNames)
        .innerJoin(sites, eq(sites.id, hostNames.siteId))
        .where(eq(sites.fleetId, fleet))
      const placed = await readDeployments(tx, fleet)
      return {
        revision: row.revision,
        generation: row.generation,
        headLost: row.headLostAtGeneration === row.generation,
        rows: { fleet, sites: shown, hostNames: names, deployments: placed, releases: await readReleases(tx, fleet, placed) }
      }
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' }
  )

const readDeployments = (tx: Tx, fleet: string): Promise<DeploymentRow[]> =>
  tx
    .select({
      id: deployments.id,
      site: deployments.siteId,
      application: deployments.applicationId,
      path: deployments.path,
      keepWarm: deployments.keepWarm,
      current: deployments.liveReleaseId,
      preparing: operations.releaseId,
      warm: deployments.warmReleaseId,
      operation: deployments.lastOperationId,
      attempt: deployments.attempt,
      bake: deployments.baking
    })
    .from(deployments)
    .innerJoin(sites, eq(sites.id, deployments.siteId))
    .leftJoin(operations, and(eq(operations.deploymentId, deployments.id), eq(operations.state, 'preparing')))
    .where(and(eq(sites.fleetId, fleet), eq(deployments.status, 'active')))

const readReleases = async (tx: Tx, fleet: string, placed: readonly DeploymentRow[]): Promise<ReleaseRow[]> => {
  const ids = placed.flatMap(({ current, preparing, warm }) => [current, preparing, warm]).filter((id) => id !== null)
  const rows = await tx
    .select({
      id: releases.id,
      release: sql<string>`${releases.digest}`,
      incarnation: releases.incarnation,
      package: sql<string>`${releases.packageDigest}`,
      build: sql<ReleaseRow['build']>`${releases.tuple} -> 'build'`
    })
    .from(releases)
    .where(
      and(
        eq(releases.fleetId, fleet),
        eq(releases.status, 'packaged'),
        isNotNull(releases.tuple),
        inArray(releases.id, [...new Set(ids)])
      )
    )
  return rows
}
