import type { Reason } from '@berth/shared/api/common'
import type { OperationKind, OperationState } from '@berth/shared/api/operations'
import type { Probe } from '@berth/shared/fields'
import type { PoolState } from '@berth/shared/observed'

/** What one server says about the operation's deployment; nothing when it has not reported at all. */
export type MemberReport = {
  /** The report answers this very operation and attempt; an older one tells what was, not what is asked. */
  readonly answers: boolean
  readonly routed: string | null
  /** State of the pool of the operation's release. */
  readonly pool: PoolState | undefined
  readonly reason: Reason | undefined
  /** It went back to the warm release by itself, from this release under this operation and attempt. */
  readonly fellBack: boolean
}

export type MemberFacts = {
  readonly server: string
  /** The cloud counts it as serving. Others hold nothing up: they catch up from desired state, or are replaced. */
  readonly healthy: boolean
  readonly report: MemberReport | undefined
}

export type ReleaseFacts = {
  readonly status: 'requested' | 'packaged' | 'failed'
  readonly reason: string | undefined
  readonly digest: string | undefined
  readonly probe: Probe
  /** Where the deployment's desired state has it now. */
  readonly place: 'current' | 'warm' | 'nowhere'
}

export type Operation = { readonly kind: OperationKind; readonly state: OperationState; readonly stateSinceMs: number }

export type Facts = {
  /** Nothing for a disable, and for an enable of what never ran. */
  readonly release: ReleaseFacts | undefined
  readonly placed: boolean
  readonly disabled: boolean
  /** The deployment has a warm release to go back to. */
  readonly warm: boolean
  readonly members: readonly MemberFacts[]
  /** Since when reports can be read without a break: what nobody could see is not held against a server. */
  readonly readableSinceMs: number
}

/**
 * The next thing to do about one operation.
 * `prepare`, `switch`, `complete` and `fail` move it on. `fail` with `revert` also makes what was current before current again;
 * `roll-back` fails it and starts the operation that brings the fleet back to the warm release.
 */
export type Step =
  | { readonly kind: 'wait'; readonly blocker: string | null }
  | { readonly kind: 'prepare' }
  | { readonly kind: 'switch' }
  | { readonly kind: 'complete' }
  | { readonly kind: 'fail'; readonly reason: Reason; readonly revert: boolean }
  | { readonly kind: 'roll-back'; readonly reason: Reason }

const nextStates: Record<OperationState, readonly OperationState[]> = {
  queued: ['preparing', 'switching', 'failed', 'superseded'],
  preparing: ['switching', 'failed', 'superseded'],
  switching: ['live', 'failed', 'superseded'],
  live: [],
  failed: [],
  superseded: []
}
export const canMove = (from: OperationState, to: OperationState): boolean => nextStates[from].includes(to)
export const isOpen = (state: OperationState): boolean => nextStates[state].length > 0

/** Longest time for making a package: the sealer copies packs inside the store. */
export const queuedMsMax = 15 * 60_000
/** What fetching, unpacking and linking may take beside the application's own start. */
const installMsMax = 5 * 60_000
/** What a switch may take beside a start that it may need when no warm pool is there. */
const routeMsMax = 2 * 60_000

/** How long an operation may stay in a state that is not final. */
export const boundMs = (state: 'queued' | 'preparing' | 'switching', probe: Probe | undefined): number => {
  const startMs = probe === undefined ? 0 : probe.startupMs + probe.count * probe.timeoutMs
  switch (state) {
    case 'queued':
      return queuedMsMax
    case 'preparing':
      return installMsMax + startMs
    case 'switching':
      return routeMsMax + startMs
  }
}

/** Decides the next step of an operation from what is known now; it reads no clock and changes nothing. */
export const advance = (operation: Operation, facts: Facts, nowMs: number): Step => {
  switch (operation.state) {
    case 'queued':
      return start(operation, facts, nowMs)
    case 'preparing':
      return prepare(operation, facts, nowMs)
    case 'switching':
      return operation.kind === 'disable' ? takeAway(operation, facts, nowMs) : route(operation, facts, nowMs)
    case 'live':
    case 'failed':
    case 'superseded':
      return { kind: 'wait', blocker: null }
  }
}

/** Decides about a deployment on trial whose operation is over: end the trial, or go back because its servers did. */
export const bake = (
  { warm, members, bakeUntilMs }: Pick<Facts, 'warm' | 'members'> & { readonly bakeUntilMs: number | undefined },
  nowMs: number
): { readonly kind: 'wait' } | { readonly kind: 'end' } | { readonly kind: 'roll-back'; readonly reason: Reason } => {
  const fellBack = serving(members).filter(({ report }) => report?.fellBack)
  if (warm && isUnited(fellBack, members)) return { kind: 'roll-back', reason: fallbackReason(fellBack) }
  return bakeUntilMs !== undefined && nowMs >= bakeUntilMs ? { kind: 'end' } : { kind: 'wait' }
}

const start = (operation: Operation, { release, placed, disabled }: Facts, nowMs: number): Step => {
  if (operation.kind === 'disable' || (operation.kind === 'enable' && release === undefined)) return { kind: 'switch' }
  if (release === undefined)
    return failed('release_missing', 'The release of this operation does not exist. Nothing was changed.')
  if (disabled && operation.kind !== 'enable')
    return failed('deployment_disabled', 'The deployment is disabled. Nothing was changed; enable it and deploy again.')
  if (release.status === 'failed')
    return failed('package_failed', `The package could not be made: ${release.reason ?? 'no reason was recorded'}.`)
  if (release.status === 'packaged') return needsPreparing(operation, release) ? { kind: 'prepare' } : { kind: 'switch' }

  if (nowMs - operation.stateSinceMs >= boundMs('queued', undefined))
    return failed(
      'package_timeout',
      `No package was made within ${queuedMsMax / 60_000} minutes. Nothing was changed; try again.`
    )
  return { kind: 'wait', blocker: placed ? 'the release is being packaged' : 'no active fleet has taken the site yet' }
}

/** A warm pool needs no preparation, and what is current even less; a server that lacks it prepares beside what it serves. */
const needsPreparing = (operation: Operation, release: ReleaseFacts): boolean =>
  operation.kind === 'deploy' || (operation.kind === 'rollback' && release.place === 'nowhere')

const prepare = (operation: Operation, facts: Facts, nowMs: number): Step => {
  const members = serving(facts.members)
  const broken = members.filter(({ report }) => report?.answers && report.pool === 'failed')
  if (isVerdict(broken, facts.members))
    return failed('prepare_failed', `${describeFailures(broken)} What was live before is still served.`)

  const lacking = members.filter(({ report }) => !(report?.answers && report.pool === 'ready'))
  if (members.length > 0 && lacking.length === 0) return { kind: 'switch' }

  const blocker = members.length === 0 ? noServer : lacking.map(describeMember).slice(0, 3).join('; ')
  if (isOverdue(operation, 'preparing', facts, nowMs))
    return failed(
      'prepare_timeout',
      `Not every server made the release ready in time: ${blocker}. What was live before is still served.`
    )
  return { kind: 'wait', blocker }
}

const route = (operation: Operation, facts: Facts, nowMs: number): Step => {
  const digest = facts.release?.digest
  if (digest === undefined) return { kind: 'complete' }
  const members = serving(facts.members)

  const fellBack = members.filter(({ report }) => report?.answers && report.fellBack)
  if (facts.warm && isUnited(fellBack, facts.members)) return { kind: 'roll-back', reason: fallbackReason(fellBack) }

  const broken = members.filter(({ report }) => report?.answers && report.pool === 'failed' && !report.fellBack)
  if (isUnited(broken, facts.members)) {
    // Only where nobody ever routed it: going back to what the owner just left is not for us to decide.
    const revert = facts.warm && members.every(({ report }) => report?.routed !== digest)
    return { ...failed('switch_failed', describeFailures(broken)), revert }
  }

  const lacking = members.filter(({ report }) => !(report?.answers && report.routed === digest))
  if (members.length > 0 && lacking.length === 0) return { kind: 'complete' }
  return waitForRouting(operation, facts, lacking, nowMs)
}

/** A disabled deployment is gone once no server routes anything for it. */
const takeAway = (operation: Operation, facts: Facts, nowMs: number): Step => {
  const members = serving(facts.members)
  const lacking = members.filter(({ report }) => report === undefined || report.routed !== null)
  if (members.length > 0 && lacking.length === 0) return { kind: 'complete' }
  return waitForRouting(operation, facts, lacking, nowMs)
}

const waitForRouting = (operation: Operation, facts: Facts, lacking: readonly MemberFacts[], nowMs: number): Step => {
  const blocker = lacking.length === 0 ? noServer : lacking.map(describeMember).slice(0, 3).join('; ')
  if (isOverdue(operation, 'switching', facts, nowMs))
    return failed(
      'switch_timeout',
      `Not every server switched in time: ${blocker}. The fleet still tries; roll back or deploy again to change that.`
    )
  return { kind: 'wait', blocker }
}

const noServer = 'the fleet has no healthy server'

const serving = (members: readonly MemberFacts[]): MemberFacts[] => members.filter(({ healthy }) => healthy)

/** One server may be sick, or lie; two, or all that say anything, are believed. */
const isVerdict = (saying: readonly MemberFacts[], members: readonly MemberFacts[]): boolean =>
  saying.length >= 2 ||
  (saying.length > 0 && saying.length === serving(members).filter(({ report }) => report !== undefined).length)

/** For what changes a whole fleet's traffic: one server is believed only where it is the only one that serves. */
const isUnited = (saying: readonly MemberFacts[], members: readonly MemberFacts[]): boolean =>
  saying.length >= 2 || (saying.length === 1 && serving(members).length === 1)

const isOverdue = (operation: Operation, state: 'preparing' | 'switching', facts: Facts, nowMs: number): boolean =>
  nowMs - Math.max(operation.stateSinceMs, facts.readableSinceMs) >= boundMs(state, facts.release?.probe)

const failed = (code: string, message: string) => ({ kind: 'fail', reason: { code, message }, revert: false }) as const

const fallbackReason = (members: readonly MemberFacts[]): Reason => ({
  code: 'fallback',
  message: `${members.map(({ server }) => server).join(', ')} went back to the release before: ${
    members.find(({ report }) => report?.reason)?.report?.reason?.message ?? 'the new one failed there'
  }`
})

const describeFailures = (members: readonly MemberFacts[]): string =>
  `The release failed on ${members.map(({ server }) => server).join(', ')}: ${
    members.find(({ report }) => report?.reason)?.report?.reason?.message ?? 'no reason was reported'
  }.`

const describeMember = ({ server, report }: MemberFacts): string => {
  if (report === undefined) return `server ${server} has not reported`
  if (!report.answers) return `server ${server} has not reported on this operation`
  if (report.fellBack) return `server ${server} went back to the release before`
  if (report.pool === 'failed') return `server ${server} failed it: ${report.reason?.message ?? 'no reason was reported'}`
  return report.pool === 'ready' ? `server ${server} has it ready and does not route it` : `server ${server} is preparing it`
}
