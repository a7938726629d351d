import type { Tx } from './database.ts'
import { type AuditOutcome, auditEntries } from './schema.ts'

export type ServiceAction = {
  readonly subscriptionId?: string
  readonly action: string
  readonly object: string
  readonly outcome?: AuditOutcome
  readonly detail?: Readonly<Record<string, unknown>>
}

/** Writes down, in the transaction of the change, what a service did without anybody asking it just then. */
export const auditService = async (
  tx: Tx,
  service: 'sealer' | 'writer' | 'provisioner',
  { subscriptionId, action, object, outcome = 'done', detail = {} }: ServiceAction
): Promise<void> => {
  await tx.insert(auditEntries).values({
    subscriptionId: subscriptionId ?? null,
    actor: `service:${service}`,
    actorKind: 'service',
    action,
    object,
    outcome,
    detail: { ...detail }
  })
}
