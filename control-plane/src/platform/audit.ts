import type { Tx } from './database.ts'
import { type AuditOutcome, auditEntries } from './schema.ts'

/** Who acts: a person, a service of ours (`service:sealer`), or somebody who did not say or prove who they are. */
export type Actor =
  | { readonly kind: 'user'; readonly id: string }
  | { readonly kind: 'service'; readonly id: `service:${string}` }
  | { readonly kind: 'stranger' }

export type AuditEntry = {
  /** Nothing: an entry of the operators' log. */
  readonly subscription?: string | undefined
  readonly actor: Actor
  /** `deployments.create`, as the table of routes has it. */
  readonly action: string
  /** `deployment/<id>`, or the path that was asked for. */
  readonly object?: string | undefined
  readonly outcome: AuditOutcome
  readonly detail?: Record<string, unknown> | undefined
  readonly requestId?: string | undefined
  readonly source?: string | undefined
}

/** Appends to the audit log, in the transaction of what it records. */
export const recordAudit = async (tx: Tx, entry: AuditEntry): Promise<void> => {
  await tx.insert(auditEntries).values({
    subscriptionId: entry.subscription ?? null,
    actor: entry.actor.kind === 'stranger' ? 'stranger' : entry.actor.id,
    actorKind: entry.actor.kind,
    action: entry.action,
    object: entry.object ?? null,
    outcome: entry.outcome,
    detail: entry.detail ?? {},
    requestId: entry.requestId ?? null,
    source: entry.source ?? null
  })
}
