import { Refusal } from '@berth/shared/refusal'
import { and, eq, isNotNull, isNull, ne, sql } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { operations } from '../operations/schema.ts'
import { firstStep, supersedeOpen } from '../operations/steps.ts'
import { hint, type Tx } from '../platform/database.ts'
import { releases } from '../releases/schema.ts'
import { scheduleItems } from './schema.ts'

export type ItemToStart = {
  readonly id: string
  readonly subscriptionId: string
  readonly deploymentId: string
  readonly version: number
  readonly buildId: string
  readonly createdBy: string
}

/**
 * Starts a schedule item in the caller's transaction: requests the release, queues the operation and supersedes what was open.
 * The deployment's row is locked, so that of two starts at once the later one wins.
 */
export const startItem = async (
  tx: Tx,
  { id, subscriptionId, deploymentId, version, buildId, createdBy }: ItemToStart
): Promise<{ readonly releaseId: string; readonly operationId: string }> => {
  const [deployment] = await tx.select().from(deployments).where(eq(deployments.id, deploymentId)).for('update')
  if (!deployment) throw new Refusal('not_found', `no deployment ${deploymentId}`)
  const { settings, pool, probe } = deployment

  await supersedeOpen(tx, deploymentId)
  const release = one(
    await tx
      .insert(releases)
      .values({ subscriptionId, deploymentId, version, buildId, intent: { settings, pool, probe } })
      .returning({ id: releases.id })
  )
  const operation = one(
    await tx
      .insert(operations)
      .values({ subscriptionId, deploymentId, kind: 'deploy', releaseId: release.id, createdBy, steps: firstStep('queued') })
      .returning({ id: operations.id })
  )
  await tx.update(scheduleItems).set({ activatedAt: sql`now()`, operationId: operation.id }).where(eq(scheduleItems.id, id))
  // A successor's start is its predecessor's end.
  await tx
    .update(scheduleItems)
    .set({ endedAt: sql`now()` })
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
  return { releaseId: release.id, operationId: operation.id }
}

const one = <Row>([row]: readonly Row[]): Row => {
  if (row === undefined) throw new Error('a row that was inserted was not answered')
  return row
}
