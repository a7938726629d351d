import type { OperationState, OperationStep } from '@berth/shared/api/operations'
import { and, eq, inArray, type SQL, sql } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { operations } from './schema.ts'

/** States of an operation that is on its way. */
export const openStates = ['queued', 'preparing', 'switching'] as const satisfies readonly OperationState[]

/**
 * The database's clock at this moment. Not `now()`, which is when the transaction began: whoever waited for a deployment's lock
 * began before the one that it waited for, and would be written down as the earlier.
 */
export const thisMoment: SQL<Date> = sql`clock_timestamp()`

/** The first entry of an operation's `steps`, or one more, on the database's clock. */
export const firstStep = (state: OperationState): SQL<OperationStep[]> =>
  sql`jsonb_build_array(jsonb_build_object('state', ${state}::text, 'at', to_char(${thisMoment} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')))`
export const nextStep = (state: OperationState): SQL<OperationStep[]> => sql`${operations.steps} || ${firstStep(state)}`

/** Sets aside what is on its way at a deployment whose row the caller has locked: another operation takes its place. */
export const supersedeOpen = async (tx: Tx, deploymentId: string): Promise<void> => {
  await tx
    .update(operations)
    .set({
      state: 'superseded',
      blocker: null,
      stateSince: thisMoment,
      finishedAt: thisMoment,
      steps: nextStep('superseded')
    })
    .where(and(eq(operations.deploymentId, deploymentId), inArray(operations.state, [...openStates])))
}
