import type { Operation, OperationList } from '@berth/shared/api/operations'
import { findDeployment } from '../deployments/store.ts'
import { type Db, inSubscription, type Tx } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { progressOf } from './progress.ts'
import * as store from './store.ts'

/** Operations are carried on by the writer; here they are read. */
export const operationService = ({ db }: { readonly db: Db }) => ({
  list: (subscription: string, deployment: string | undefined): Promise<OperationList> =>
    inSubscription(db, subscription, async (tx) => {
      if (deployment !== undefined && !(await findDeployment(tx, deployment))) throw notFound('/deployment')
      return { items: await presentAll(tx, await store.listOperations(tx, deployment)) }
    }),

  get: (subscription: string, id: string): Promise<Operation> =>
    inSubscription(db, subscription, async (tx) => {
      const row = await store.findOperation(tx, id)
      if (!row) throw notFound()
      return presentOperation(row, await store.listObserved(tx, row.operation.deploymentId))
    })
})
export type OperationService = ReturnType<typeof operationService>

const presentAll = async (tx: Tx, rows: readonly store.OperationRow[]): Promise<Operation[]> => {
  const observed = new Map<string, store.ObservedRow[]>()
  for (const deployment of new Set(rows.map(({ operation }) => operation.deploymentId)))
    observed.set(deployment, await store.listObserved(tx, deployment))
  return rows.map((row) => presentOperation(row, observed.get(row.operation.deploymentId) ?? []))
}

/** An operation as the API tells it, with what the fleet's servers say of its release. */
export const presentOperation = (
  { operation, version, digest }: store.OperationRow,
  observed: readonly store.ObservedRow[]
): Operation => ({
  id: operation.id,
  deployment: operation.deploymentId,
  kind: operation.kind,
  release: operation.releaseId,
  version,
  state: operation.state,
  ...(operation.reason && { reason: operation.reason }),
  ...(operation.blocker !== null && { blocker: operation.blocker }),
  createdAt: operation.createdAt.toISOString(),
  ...(operation.startedAt && { startedAt: operation.startedAt.toISOString() }),
  ...(operation.finishedAt && { finishedAt: operation.finishedAt.toISOString() }),
  // A release without a digest was not packaged yet: nobody can have it.
  progress:
    operation.releaseId !== null && digest === null ? { ready: 0, routed: 0, of: observed.length } : progressOf(digest, observed),
  steps: operation.steps
})
