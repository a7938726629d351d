import { Refusal } from '@berth/shared/refusal'
import { and, eq, isNotNull, isNull, ne } from 'drizzle-orm'
import { type DeploymentRow, lockDeployment } from '../deployments/store.ts'
import { supersedeOpen, thisMoment } from '../operations/steps.ts'
import { insertOperation } from '../operations/store.ts'
import { hint, one, type Tx } from '../platform/database.ts'
import { releases } from '../releases/schema.ts'
import { scheduleItems } from './schema.ts'

/** A deploy has a new release made; a rollback goes back to one that there is. */
type Wish =
  | { readonly kind: 'deploy'; readonly version: number; readonly buildId: string }
  | { readonly kind: 'rollback'; readonly releaseId: string }

export type ItemToStart = Wish & {
  readonly id: string
  readonly subscriptionId: string
  readonly deploymentId: string
  readonly createdBy: string
}

/**
 * Starts a schedule item in the caller's transaction: queues its operation, supersedes what was open and ends every other item that
 * was started. The deployment's row is locked, so that of two starts at once the later one wins.
 */
export const startItem = async (tx: Tx, item: ItemToStart): Promise<{ readonly operationId: string }> => {
  const { id, subscriptionId, deploymentId, createdBy, kind } = item
  const deployment = await lockDeployment(tx, deploymentId)
  if (!deployment) throw new Refusal('not_found', `no deployment ${deploymentId}`)

  await supersedeOpen(tx, deploymentId)
  const releaseId = item.kind === 'deploy' ? await requestRelease(tx, deployment, item) : item.releaseId
  const operationId = one(await insertOperation(tx, { subscriptionId, deploymentId, kind, releaseId, createdBy }))
  await tx.update(scheduleItems).set({ activatedAt: thisMoment, operationId }).where(eq(scheduleItems.id, id))
  // A successor's start is its predecessor's end.
  await tx
    .update(scheduleItems)
    .set({ endedAt: thisMoment })
    .where(
      and(
        eq(scheduleItems.deploymentId, deploymentId),
        ne(scheduleItems.id, id),
        isNotNull(scheduleItems.activatedAt),
        isNull(scheduleItems.endedAt)
      )
    )
  await hint(tx, 'sealer')
  await hint(tx, 'writer')
  return { operationId }
}

const requestRelease = async (
  tx: Tx,
  { subscriptionId, id: deploymentId, settings, pool, probe }: DeploymentRow,
  { version, buildId }: { readonly version: number; readonly buildId: string }
): Promise<string> => {
  const release = { subscriptionId, deploymentId, version, buildId, intent: { settings, pool, probe }, createdAt: thisMoment }
  return one((await tx.insert(releases).values(release).returning({ id: releases.id }))[0]).id
}
