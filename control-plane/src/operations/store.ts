import type { Reason } from '@berth/shared/api/common'
import type { MemberState } from '@berth/shared/api/fleets'
import type { OperationKind } from '@berth/shared/api/operations'
import type { ObservedDeployment } from '@berth/shared/observed'
import { desc, eq, type SQL, sql } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { historyMax } from '../platform/lists.ts'
import { releases } from '../releases/schema.ts'
import { operations } from './schema.ts'
import { firstStep, thisMoment } from './steps.ts'

export type OperationRow = {
  readonly operation: typeof operations.$inferSelect
  /** Of the release that it is about, where there is one. */
  readonly version: number | null
  readonly digest: string | null
}

/** What a member of the fleet says of one deployment; null before its first word about it. */
export type ObservedRow = {
  readonly server: string
  readonly zone: string
  readonly state: MemberState
  readonly observed: ObservedDeployment | null
  readonly reportedAt: Date | null
}

/** Newest first; of one deployment or of all. */
export const listOperations = (tx: Tx, deploymentId?: string): Promise<OperationRow[]> =>
  select(tx, deploymentId === undefined ? undefined : eq(operations.deploymentId, deploymentId)).limit(historyMax)

export const findOperation = async (tx: Tx, id: string): Promise<OperationRow | undefined> => {
  const [row] = await select(tx, eq(operations.id, id))
  return row
}

export const findLastOperation = async (tx: Tx, deploymentId: string): Promise<OperationRow | undefined> => {
  const [row] = await select(tx, eq(operations.deploymentId, deploymentId)).limit(1)
  return row
}

export type OperationToInsert = {
  readonly subscriptionId: string
  readonly deploymentId: string
  readonly kind: OperationKind
  readonly releaseId: string | null
  readonly createdBy: string | null
  /** Why the platform itself goes back, which servers have begun already. */
  readonly underWay?: Reason
}

/**
 * Queues an operation of a deployment whose row the caller has locked; whatever was open before must have been superseded. It is
 * later than every other of the deployment, so that the last one is the last by its time as well.
 */
export const insertOperation = async (tx: Tx, { underWay, ...row }: OperationToInsert): Promise<string | undefined> => {
  const state = underWay ? 'switching' : 'queued'
  const [inserted] = await tx
    .insert(operations)
    .values({
      ...row,
      state,
      createdAt: sql`greatest(${thisMoment}, (select max(created_at) + interval '1 millisecond' from operations where deployment_id = ${row.deploymentId}))`,
      stateSince: thisMoment,
      steps: firstStep(state),
      ...(underWay && { reason: underWay, startedAt: thisMoment })
    })
    .returning({ id: operations.id })
  return inserted?.id
}

/** What the members of a deployment's fleet say of it: only for a deployment of the subscription that is seen. */
export const listObserved = async (tx: Tx, deploymentId: string): Promise<ObservedRow[]> => {
  const { rows } = await tx.execute<Omit<ObservedRow, 'reportedAt'> & { reported_at: string | null }>(
    sql`select * from observed_deployments(${deploymentId})`
  )
  return rows.map(({ reported_at, ...row }) => ({ ...row, reportedAt: reported_at === null ? null : new Date(reported_at) }))
}

const select = (tx: Tx, condition: SQL | undefined) =>
  tx
    .select({ operation: operations, version: releases.version, digest: releases.digest })
    .from(operations)
    .leftJoin(releases, eq(releases.id, operations.releaseId))
    .where(condition)
    .orderBy(desc(operations.createdAt), desc(operations.id))
    .$dynamic()
