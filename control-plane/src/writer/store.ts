import type { MemberState } from '@berth/shared/api/fleets'
import { and, eq, inArray, or, sql } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { fleets, servers } from '../fleets/schema.ts'
import { operations } from '../operations/schema.ts'
import { openStates } from '../operations/steps.ts'
import { type Db, inTransaction, type Tx } from '../platform/database.ts'
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

/** Everything that a pass of the writer decides from, but for what servers report. */
export const look = (db: Db): Promise<Look> =>
  inTransaction(
    db,
    async (tx) => {
      const pending = await readPending(tx)
      const ids = pending.flatMap(({ deployment, operation }) =>
        [operation?.releaseId, deployment.liveReleaseId, deployment.warmReleaseId].filter((id) => typeof id === 'string')
      )
      const rows =
        ids.length === 0
          ? []
          : await tx
              .select()
              .from(releases)
              .where(inArray(releases.id, [...new Set(ids)]))
      return {
        now: await readNow(tx),
        fleets: await readFleets(tx),
        pending,
        releases: new Map(rows.map((row) => [row.id, row]))
      }
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' }
  )

const readPending = (tx: Tx): Promise<Pending[]> =>
  tx
    .select({ deployment: deployments, operation: operations, fleet: sites.fleetId })
    .from(deployments)
    .innerJoin(sites, eq(sites.id, deployments.siteId))
    .leftJoin(operations, and(eq(operations.deploymentId, deployments.id), inArray(operations.state, [...openStates])))
    .where(or(eq(deployments.baking, true), inArray(operations.state, [...openStates])))

const readNow = async (tx: Tx): Promise<Date> => {
  const { rows } = await tx.execute<{ now: string }>(
    sql`select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now`
  )
  const [row] = rows
  if (!row) throw new Error('the database did not say what time it is')
  return new Date(row.now)
}

const readFleets = async (tx: Tx): Promise<FleetToWatch[]> => {
  const rows = await tx.select({ id: fleets.id, revision: fleets.revision, status: fleets.status }).from(fleets)
  const members = Map.groupBy(await tx.select().from(servers), ({ fleetId }) => fleetId)
  return rows
    .filter(({ status }) => status !== 'deleting')
    .map(({ id, revision }) => ({ id, revision, members: members.get(id) ?? [] }))
}
