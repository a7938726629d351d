import { KeysError } from '@berth/shared/keys/keys'
import { ObjectsError } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'
import type { ProbeResult } from './host/host.ts'
import { asDiskFull } from './install/room.ts'
import type { DeploymentDesired } from './plan/state.ts'

/** A probe that was not answered well; what was answered goes to the subscription, sealed. */
export class ProbeFailure extends Refusal {
  readonly result: Extract<ProbeResult, { ok: false }>

  constructor(code: string, message: string, result: Extract<ProbeResult, { ok: false }>) {
    super(code, message)
    this.result = result
  }
}

export type Failure = {
  readonly operation: string | null
  readonly attempt: number
  readonly reason: { readonly code: string; readonly message: string }
  readonly diagnostics?: string
  /** Nobody but a new desired state, or time, can mend it: reported as failed. Else it is on its way still. */
  readonly isFinal: boolean
  /** When it is tried again all the same, in milliseconds of the clock; never, without. */
  readonly retryAt?: number
  readonly tries: number
}

const backoffMsFirst = 500
const backoffMsMax = 30_000
const slowRetryMs = 30_000
/** A current release that stopped working is started anew now and then: what it depends on may work again. */
const currentRetryMs = 60_000

/** How long to wait before what failed in passing is tried for the nth time. */
export const backoffMs = (tries: number): number => Math.min(backoffMsFirst * 2 ** Math.min(tries, 10), backoffMsMax)

/** What a failed step means: whether it waits for another desired state, or is tried again and when. */
export const judgeFailure = (
  thrown: unknown,
  { tries, now, isCurrent }: { readonly tries: number; readonly now: number; readonly isCurrent: boolean }
): Pick<Failure, 'reason' | 'isFinal' | 'retryAt'> => {
  const error = asDiskFull(thrown, 'what it needs')
  const reason = reasonOf(error)
  const isFinal = error instanceof ProbeFailure || (error instanceof Refusal && finalCodes.has(error.code))
  if (isFinal && isCurrent && (error instanceof ProbeFailure || reason.code === 'crashed'))
    return { reason, isFinal, retryAt: now + currentRetryMs }
  if (isFinal) return { reason, isFinal }
  if (error instanceof Refusal && slowCodes.has(error.code)) return { reason, isFinal: true, retryAt: now + slowRetryMs }
  return { reason, isFinal: false, retryAt: now + backoffMs(tries) }
}

/** Refusals of bytes that will be the same bytes tomorrow. */
const finalCodes: ReadonlySet<string> = new Set([
  'unsigned',
  'wrong_role',
  'bad_package',
  'bad_manifest',
  'bad_build',
  'bad_piece',
  'bad_seal',
  'bad_key',
  'bad_path',
  'path_collision',
  'no_files',
  'shown_elsewhere',
  'too_large',
  'crashed'
])

/** Refusals that may be mended outside of desired state: a person frees a disk, a sealer writes what was missing. */
const slowCodes: ReadonlySet<string> = new Set([
  'disk_full',
  'missing_package',
  'missing_pack',
  'missing_build',
  'missing_key',
  'not_isolated',
  'closed_folder'
])

/** Code and words of a failure for a report: a bug's own words stay in the log. */
export const reasonOf = (error: unknown): Failure['reason'] => {
  if (error instanceof Refusal) return { code: error.code, message: cut(error.message) }
  if (error instanceof ObjectsError)
    return { code: `store_${error.code}`, message: 'the object store does not answer well; it is tried again' }
  if (error instanceof KeysError)
    return { code: `keys_${error.code}`, message: 'the key service refuses or does not answer; it is tried again' }
  return { code: 'failed', message: "the server's agent failed at a step, which its log describes; it is tried again" }
}

/** As reports take it: no longer than they allow, and only what a database can keep. */
const cut = (message: string): string => message.replaceAll('\0', '').slice(0, 2048).toWellFormed()

/** Under this name a release's package fails by itself: the pool that runs is not to blame. */
export const packageOf = (release: string): string => `${release}/package`

export type Failures = ReturnType<typeof failures>

/** What failed on this server, by deployment and release. In memory only: an agent that starts anew tries everything once more. */
export const failures = () => {
  const byRelease = new Map<string, Failure>()
  const keyOf = (deployment: string, release: string) => `${deployment}/${release}`
  const isOf = (failure: Failure, { operation, attempt }: DeploymentDesired) =>
    failure.operation === operation && failure.attempt === attempt

  return {
    find: (desired: DeploymentDesired, release: string): Failure | undefined => {
      const failure = byRelease.get(keyOf(desired.deployment, release))
      return failure && isOf(failure, desired) ? failure : undefined
    },
    /** Whether it is to be left alone now: it failed under this operation and attempt, and its time has not come. */
    isInForce: (desired: DeploymentDesired, release: string, now: number): boolean => {
      const failure = byRelease.get(keyOf(desired.deployment, release))
      return failure !== undefined && isOf(failure, desired) && (failure.retryAt === undefined || now < failure.retryAt)
    },
    /** Whether it failed by itself, so that neither time nor an answer of the store mends it. */
    isForGood: (desired: DeploymentDesired, release: string): boolean => {
      const failure = byRelease.get(keyOf(desired.deployment, release))
      return failure !== undefined && isOf(failure, desired) && failure.isFinal && failure.retryAt === undefined
    },
    record: (desired: DeploymentDesired, release: string, failure: Failure): void => {
      byRelease.set(keyOf(desired.deployment, release), failure)
    },
    clear: (deployment: string, release: string): void => {
      byRelease.delete(keyOf(deployment, release))
    },
    /** Whether any of this deployment's failures is due to be tried again. */
    isAnyDue: (deployment: string, now: number): boolean =>
      [...byRelease].some(([key, { retryAt }]) => key.startsWith(`${deployment}/`) && retryAt !== undefined && retryAt <= now),
    forget: (deployment: string): void => {
      for (const key of byRelease.keys()) if (key.startsWith(`${deployment}/`)) byRelease.delete(key)
    }
  }
}
