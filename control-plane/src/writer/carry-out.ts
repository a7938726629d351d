import type { Reason } from '@berth/shared/api/common'
import type { OperationState } from '@berth/shared/api/operations'
import { and, eq, inArray, type SQL, sql } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import type { Step } from '../operations/rules.ts'
import { operations } from '../operations/schema.ts'
import { nextStep, openStates, thisMoment } from '../operations/steps.ts'
import { insertOperation } from '../operations/store.ts'
import { type AuditEntry, recordAudit } from '../platform/audit.ts'
import { type Db, inTransaction, one, type Tx } from '../platform/database.ts'
import { releases } from '../releases/schema.ts'
import type { Decision } from './decide.ts'
import type { DeploymentOfRow, OperationOfRow, Pending } from './store.ts'

/**
 * Carries one decision out, in one transaction: rows, audit entry, and by its triggers the fleet's revision. Answers false, and changes
 * nothing, when the rows are no longer what the decision was made from; the next pass decides again.
 */
export const carryOut = (db: Db, decision: Decision): Promise<boolean> =>
  inTransaction(db, async (tx) => {
    const { pending } = decision
    const [deployment] = await tx.select().from(deployments).where(eq(deployments.id, pending.deployment.id)).for('update')
    if (!deployment || !(await isUnchanged(tx, deployment, pending))) return false
    switch (decision.kind) {
      case 'step':
        if (pending.operation) await take(tx, deployment, pending.operation, decision.step)
        return true
      case 'end-bake':
        await change(tx, deployment, { baking: false, bakeUntil: null })
        await recordAudit(tx, { ...about(deployment), action: 'deployments.end-trial', outcome: 'done' })
        return true
      case 'swap':
        await goBack(tx, deployment, decision.reason, pending.operation === null)
        return true
    }
  })

/** Both are changed only under the deployment's lock, which we hold. */
const isUnchanged = async (tx: Tx, deployment: DeploymentOfRow, { deployment: before, operation }: Pending): Promise<boolean> => {
  const open = await tx
    .select({ id: operations.id, state: operations.state })
    .from(operations)
    .where(and(eq(operations.deploymentId, deployment.id), inArray(operations.state, [...openStates])))
  return (
    open[0]?.id === operation?.id &&
    open[0]?.state === operation?.state &&
    deployment.liveReleaseId === before.liveReleaseId &&
    deployment.warmReleaseId === before.warmReleaseId &&
    deployment.status === before.status &&
    deployment.baking === before.baking
  )
}

const take = async (tx: Tx, deployment: DeploymentOfRow, operation: OperationOfRow, step: Step): Promise<void> => {
  switch (step.kind) {
    case 'wait':
      await tx.update(operations).set({ blocker: step.blocker }).where(eq(operations.id, operation.id))
      return
    case 'prepare':
      await move(tx, operation, 'preparing')
      // Preparing ends the warm pool: there is nothing to fall back to any more, so the trial of what is live is over.
      await change(tx, deployment, { ...underOperation(operation), baking: false, bakeUntil: null })
      break
    case 'switch':
      await move(tx, operation, 'switching')
      await change(
        tx,
        deployment,
        switched(deployment, operation, await isSamePool(tx, deployment.liveReleaseId, operation.releaseId))
      )
      break
    case 'complete':
      await move(tx, operation, 'live')
      await complete(tx, deployment, operation)
      break
    case 'fail':
      await move(tx, operation, 'failed', step.reason)
      if (operation.state === 'switching')
        await change(tx, deployment, { ...(step.revert ? exchanged(deployment) : {}), baking: false, bakeUntil: null })
      break
    case 'roll-back':
      await move(tx, operation, 'failed', step.reason)
      await goBack(tx, deployment, step.reason, true)
      break
  }
  await recordAudit(tx, {
    ...about(deployment),
    action: `operations.${step.kind}`,
    object: `operation/${operation.id}`,
    outcome: step.kind === 'complete' ? 'done' : step.kind === 'fail' || step.kind === 'roll-back' ? 'failed' : 'started',
    detail: { deployment: deployment.id, release: operation.releaseId, ...('reason' in step ? { reason: step.reason } : {}) }
  })
}

const move = async (tx: Tx, operation: OperationOfRow, state: OperationState, reason?: Reason): Promise<void> => {
  const isFinal = state === 'live' || state === 'failed'
  await tx
    .update(operations)
    .set({
      state,
      blocker: null,
      stateSince: thisMoment,
      steps: nextStep(state),
      startedAt: sql`coalesce(${operations.startedAt}, ${thisMoment})`,
      ...(isFinal ? { finishedAt: thisMoment } : {}),
      ...(reason ? { reason } : {})
    })
    .where(eq(operations.id, operation.id))
}

type Change = { [Column in keyof DeploymentOfRow]?: DeploymentOfRow[Column] | SQL }

const change = async (tx: Tx, deployment: DeploymentOfRow, values: Change): Promise<void> => {
  await tx.update(deployments).set(values).where(eq(deployments.id, deployment.id))
}

const underOperation = ({ id, attempt }: { readonly id: string; readonly attempt: number }) => ({ lastOperationId: id, attempt })

const exchanged = ({ liveReleaseId, warmReleaseId }: DeploymentOfRow) => ({
  liveReleaseId: warmReleaseId,
  warmReleaseId: liveReleaseId
})

/** What the deployment shows from the moment of the switch. Only a deploy goes on trial: nothing falls back from a rollback. */
const switched = (deployment: DeploymentOfRow, operation: OperationOfRow, samePool: boolean): Change => {
  const common = { ...underOperation(operation), baking: operation.kind === 'deploy', bakeUntil: null }
  switch (operation.kind) {
    case 'disable':
      return { ...common, status: 'disabled' }
    case 'enable':
      return { ...common, status: 'active' }
    case 'deploy':
    case 'rollback': {
      const { liveReleaseId: before, warmReleaseId: warm } = deployment
      if (before === operation.releaseId) return common
      const liveReleaseId = operation.releaseId
      // The same tuple again is the same pool: what is warm beside it stays.
      if (before === null || samePool) return { ...common, liveReleaseId, warmReleaseId: warm === liveReleaseId ? null : warm }
      return { ...common, liveReleaseId, warmReleaseId: before }
    }
  }
}

const isSamePool = async (tx: Tx, before: string | null, after: string | null): Promise<boolean> => {
  if (before === null || after === null) return false
  const rows = await tx
    .select({ digest: releases.digest })
    .from(releases)
    .where(inArray(releases.id, [before, after]))
  const [first, second] = rows
  return first !== undefined && second !== undefined && first.digest !== null && first.digest === second.digest
}

const complete = async (tx: Tx, deployment: DeploymentOfRow, operation: OperationOfRow): Promise<void> => {
  if (deployment.baking)
    await change(tx, deployment, { bakeUntil: sql`${thisMoment} + make_interval(secs => ${deployment.bakeSeconds})` })
  if (operation.kind === 'disable' || deployment.liveReleaseId === null) return
  await tx.update(releases).set({ wasLive: true, liveAt: thisMoment }).where(eq(releases.id, deployment.liveReleaseId))
}

/** The servers went back by themselves; desired state follows them, as an operation of its own where none is on its way. */
const goBack = async (tx: Tx, deployment: DeploymentOfRow, reason: Reason, asOperation: boolean): Promise<void> => {
  await change(tx, deployment, { ...exchanged(deployment), baking: false, bakeUntil: null })
  await recordAudit(tx, { ...about(deployment), action: 'deployments.fall-back', outcome: 'started', detail: { reason } })
  if (!asOperation) return
  const { subscriptionId, id: deploymentId, warmReleaseId: releaseId } = deployment
  const operation = { subscriptionId, deploymentId, kind: 'rollback', releaseId, createdBy: null, underWay: reason } as const
  await change(tx, deployment, underOperation({ id: one(await insertOperation(tx, operation)), attempt: 0 }))
}

const about = ({ subscriptionId, id }: DeploymentOfRow) =>
  ({
    subscription: subscriptionId,
    actor: { kind: 'service', id: 'service:writer' },
    object: `deployment/${id}`
  }) satisfies Partial<AuditEntry>
