import { advance, bake, type Facts, type Step } from '../operations/rules.ts'
import { memberFacts } from './facts.ts'
import type { Reports } from './observe.ts'
import type { FleetToWatch, Look, Pending, ReleaseOfRow } from './store.ts'

/** Something to do about one deployment. `end-bake` and `swap` are about a release on trial whose own operation is over. */
export type Decision =
  | { readonly kind: 'step'; readonly pending: Pending; readonly step: Step }
  | { readonly kind: 'end-bake'; readonly pending: Pending }
  | { readonly kind: 'swap'; readonly pending: Pending; readonly reason: { readonly code: string; readonly message: string } }

/** What the writer must do now, from rows and reports alone. */
export const decide = (look: Look, reportsOf: (fleet: string) => Reports, readableSince: (fleet: string) => Date): Decision[] => {
  const fleets = new Map(look.fleets.map((fleet) => [fleet.id, fleet]))
  return look.pending.flatMap((pending) => {
    const fleet = pending.fleet === null ? undefined : fleets.get(pending.fleet)
    const context = {
      look,
      fleet,
      reports: fleet ? reportsOf(fleet.id) : new Map(),
      readableSince: fleet ? readableSince(fleet.id) : look.now
    }
    return [...decideTrial(pending, context), ...decideOperation(pending, context)]
  })
}

type Context = {
  readonly look: Look
  readonly fleet: FleetToWatch | undefined
  readonly reports: Reports
  readonly readableSince: Date
}

/** While a switch is under way its operation watches over the trial. */
const decideTrial = (pending: Pending, { look, fleet, reports }: Context): Decision[] => {
  const { deployment, operation } = pending
  if (!deployment.baking || operation?.state === 'switching') return []
  const members = memberFacts(fleet?.members ?? [], reports, {
    deployment: deployment.id,
    operation: deployment.lastOperationId,
    attempt: deployment.attempt,
    release: findDigest(look, deployment.liveReleaseId)
  })
  // A switch that was superseded set no end; when nothing follows it after all, the trial is over now.
  const bakeUntilMs = (deployment.bakeUntil ?? (operation === null ? look.now : undefined))?.getTime()
  const verdict = bake({ warm: deployment.warmReleaseId !== null, members, bakeUntilMs }, look.now.getTime())
  switch (verdict.kind) {
    case 'wait':
      return []
    case 'end':
      return [{ kind: 'end-bake', pending }]
    case 'roll-back':
      return [{ kind: 'swap', pending, reason: verdict.reason }]
  }
}

const decideOperation = (pending: Pending, { look, fleet, reports, readableSince }: Context): Decision[] => {
  const { deployment, operation } = pending
  if (!operation) return []
  const releaseId = operation.kind === 'enable' ? (operation.releaseId ?? deployment.liveReleaseId) : operation.releaseId
  const release = releaseId === null ? undefined : look.releases.get(releaseId)
  const digest = release?.digest ?? undefined
  const facts: Facts = {
    release: release && releaseFacts(pending, release),
    placed: fleet !== undefined,
    disabled: deployment.status === 'disabled',
    warm: deployment.warmReleaseId !== null,
    members: memberFacts(fleet?.members ?? [], reports, {
      deployment: deployment.id,
      operation: operation.id,
      attempt: deployment.attempt,
      release: digest
    }),
    readableSinceMs: readableSince.getTime()
  }
  const { kind, state, stateSince } = operation
  const step = advance({ kind, state, stateSinceMs: stateSince.getTime() }, facts, look.now.getTime())
  return step.kind === 'wait' && step.blocker === operation.blocker ? [] : [{ kind: 'step', pending, step }]
}

const releaseFacts = ({ deployment }: Pending, release: ReleaseOfRow): Facts['release'] => ({
  status: release.status,
  reason: release.reason?.message,
  digest: release.digest ?? undefined,
  probe: release.intent.probe,
  place: release.id === deployment.liveReleaseId ? 'current' : release.id === deployment.warmReleaseId ? 'warm' : 'nowhere'
})

const findDigest = (look: Look, release: string | null): string | undefined =>
  (release === null ? undefined : look.releases.get(release)?.digest) ?? undefined
