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
    detail: bounded(entry.detail ?? {}),
    requestId: entry.requestId ?? null,
    source: entry.source ?? null
  })
}

const detailBytesMax = 64 * 1024
const fieldBytesMax = 1024

/** Nobody's request decides how large an entry is: of one that is too large, large fields are only named. */
const bounded = (detail: Record<string, unknown>): Record<string, unknown> => {
  if (bytesOf(detail) <= detailBytesMax) return detail
  const isSmall = ([, value]: [string, unknown]) => bytesOf(value) <= fieldBytesMax
  const fields = Object.entries(detail)
  const leftOut = fields.filter((field) => !isSmall(field)).map(([name]) => name)
  return { ...Object.fromEntries(fields.filter(isSmall)), leftOut }
}

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? '')
