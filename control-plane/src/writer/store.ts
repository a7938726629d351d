import type { MemberState } from '@berth/shared/api/fleets'
import { and, eq, inArray, ne, or, sql } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { fleets, servers } from '../fleets/schema.ts'
import { operations } from '../operations/schema.ts'
import { openStates } from '../operations/steps.ts'
import type { Db } from '../platform/database.ts'
import { releases } from '../releases/schema.ts'
import { sites } from '../sites/schema.ts'

export type DeploymentOfRow = typeof deployments.$inferSelect
export type OperationOfRow = typeof operations.$inferSelect
export type ReleaseOfRow = typeof releases.$inferSelect

/** A deployment that something is to be decided about: it has an open operation, or is on trial. */
export type Pending = {
  readonly deployment: DeploymentOfRow
  readonly operation: OperationOfRow | null
  readonly fleet: string | null
}
export type FleetToWatch = {
  readonly id: string
  readonly revision: number
  readonly members: readonly { readonly server: string; readonly state: MemberState }[]
}

export type Look = {
  /** The database's clock. */
  readonly now: Date
  readonly fleets: readonly FleetToWatch[]
  readonly pending: readonly Pending[]
  /** By id: all that the pending ones name. */
  readonly releases: ReadonlyMap<string, ReleaseOfRow>
}

/**
 * Everything that a pass of the writer decides from, but for what servers report. No snapshot is needed, so that nothing waits in line:
 * whoever carries a decision out looks again, under the deployment's lock.
 */
export const look = async (db: Db): Promise<Look> => {
  const [pending, now, watched] = await Promise.all([readPending(db), readNow(db), readFleets(db)])
  const ids = pending.flatMap(({ deployment, operation }) =>
    [operation?.releaseId, deployment.liveReleaseId, deployment.warmReleaseId].filter((id) => typeof id === 'string')
  )
  const rows =
    ids.length === 0
      ? []
      : await db
          .select()
          .from(releases)
          .where(inArray(releases.id, [...new Set(ids)]))
  return { now, fleets: watched, pending, releases: new Map(rows.map((row) => [row.id, row])) }
}

const readPending = (db: Db): Promise<Pending[]> =>
  db
    .select({ deployment: deployments, operation: operations, fleet: sites.fleetId })
    .from(deployments)
    .innerJoin(sites, eq(sites.id, deployments.siteId))
    .leftJoin(operations, and(eq(operations.deploymentId, deployments.id), inArray(operations.state, [...openStates])))
    .where(or(eq(deployments.baking, true), inArray(operations.state, [...openStates])))

const readNow = async (db: Db): Promise<Date> => {
  const { rows } = await db.execute<{ now: string }>(
    sql`select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now`
  )
  const [row] = rows
  if (!row) throw new Error('the database did not say what time it is')
  return new Date(row.now)
}

const readFleets = async (db: Db): Promise<FleetToWatch[]> => {
  const [rows, members] = await Promise.all([
    db.select({ id: fleets.id, revision: fleets.revision }).from(fleets).where(ne(fleets.status, 'deleting')),
    db.select().from(servers)
  ])
  const membersOf = Map.groupBy(members, ({ fleetId }) => fleetId)
  return rows.map(({ id, revision }) => ({ id, revision, members: membersOf.get(id) ?? [] }))
}
