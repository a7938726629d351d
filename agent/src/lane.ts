import { canonicalJson } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import type { Apply } from './apply.ts'
import { withDeadline } from './deadline.ts'
import { backoffMs, type Failures, judgeFailure, packageOf } from './failures.ts'
import type { Observer } from './observer.ts'
import { after } from './plan/effects.ts'
import { planDeployment } from './plan/plan.ts'
import { type DeploymentDesired, type DeploymentObserved, nothingObserved, type Step } from './plan/state.ts'

/** More rounds than this without coming to rest is a fault; then one round a second is enough. */
const roundsAtOnceMax = 30
const restMs = 1000

export type LaneDeps = {
  readonly observer: Pick<Observer, 'look' | 'view'>
  readonly apply: Apply
  readonly failures: Failures
  readonly clock: Clock
  /** Seals what a failed probe was answered to the subscription; answers the id that the report names. */
  readonly keepDiagnostics: (desired: DeploymentDesired, release: string, error: unknown) => Promise<string | undefined>
  /** Anything that a report says may be different now. */
  readonly onChange: () => void
  readonly log: (line: string) => void
}

export type Lane = ReturnType<typeof lane>

/**
 * One deployment's way to what is desired: observe, plan, carry out, again, until nothing is left to do. Every deployment
 * has a lane of its own and none waits for another's. A newer desired state interrupts work that may take long.
 */
export const lane = (deployment: string, deps: LaneDeps) => {
  const { failures, clock } = deps
  const closing = new AbortController()
  let desired: DeploymentDesired | undefined
  let view: DeploymentObserved = nothingObserved
  let isDirty = false
  let running: Promise<void> | undefined
  let underWay: { readonly step: Step; readonly abort: AbortController } | undefined
  /** Set after a step failed that no release is to blame for: nothing is tried before. */
  let pausedUntil = 0
  let failuresInRow = 0
  let isAttempted = false
  let isAtRest = false

  const wake = (): void => {
    isDirty = true
    if (closing.signal.aborted || running) return
    running = run().finally(() => {
      running = undefined
      if (isDirty) wake()
    })
  }

  const run = async (): Promise<void> => {
    for (let rounds = 0; isDirty && !closing.signal.aborted; rounds++) {
      isDirty = false
      if (clock.now().getTime() < pausedUntil) return
      isAtRest = false
      try {
        isDirty = (await round()) || isDirty
      } catch (error) {
        // Only looking fails here: the host or the disk did not answer.
        deps.log(`deployment ${deployment} cannot be looked at: ${wordsOf(error)}`)
        pause()
      }
      if (rounds >= roundsAtOnceMax) await clock.wait(restMs, closing.signal)
    }
  }

  /** One look and all steps that follow from it; answers whether there was anything to do. */
  const round = async (): Promise<boolean> => {
    const wanted = desired
    const seen = await deps.observer.look()
    view = await deps.observer.view(deployment, wanted, seen)
    noteCrashes(deps, deployment, wanted, view, seen.pools)
    view = await deps.observer.view(deployment, wanted, seen)
    const steps = planDeployment(wanted, view)
    if (steps.length === 0) {
      isAttempted = true
      isAtRest = true
      deps.onChange()
    }
    for (const step of steps) {
      // A hint can wait until the plan is carried out; a newer desired state cannot.
      if (desired !== wanted || closing.signal.aborted) break
      if (!(await carryOut(step, wanted))) break
    }
    return steps.length > 0
  }

  /** Answers whether the plan may go on as it was thought. */
  const carryOut = async (step: Step, wanted: DeploymentDesired | undefined): Promise<boolean> => {
    const abort = new AbortController()
    const signal = AbortSignal.any([abort.signal, closing.signal])
    underWay = { step, abort }
    deps.onChange()
    try {
      const what = `step ${step.kind} of deployment ${deployment}`
      const limits = { clock, ms: deadlineMs[step.kind], signal, what, isAbandonable: isAbandonable(step) }
      await withDeadline(limits, (both) => deps.apply(deployment, wanted, step, both))
      view = after(view, step, wanted)
      noteSuccess(step)
      return true
    } catch (error) {
      if (!signal.aborted) await noteFailure(step, wanted, error)
      return false
    } finally {
      underWay = undefined
      deps.onChange()
    }
  }

  const noteSuccess = (step: Step): void => {
    failuresInRow = 0
    if (step.kind === 'probe' || step.kind === 'quick-probe') failures.clear(deployment, step.release)
    if (step.kind === 'fetch') failures.clear(deployment, packageOf(step.release))
    if (step.kind === 'route' || step.kind === 'close') isAttempted = true
  }

  const noteFailure = async (step: Step, wanted: DeploymentDesired | undefined, error: unknown): Promise<void> => {
    deps.log(`deployment ${deployment}: ${step.kind} failed: ${wordsOf(error)}`)
    if (wanted && step.kind === 'fetch') return noteUnfetched(step.release, wanted, error)
    if (!wanted || !isBlamedOnRelease(step)) return pause()
    const tries = (failures.find(wanted, step.release)?.tries ?? 0) + 1
    const isCurrent = isOnItsOwn(wanted, step.release)
    const judged = judgeFailure(error, { tries, now: clock.now().getTime(), isCurrent })
    const diagnostics = await deps.keepDiagnostics(wanted, step.release, error)
    const { operation, attempt } = wanted
    failures.record(wanted, step.release, { ...judged, operation, attempt, tries, ...(diagnostics && { diagnostics }) })
    if (judged.isFinal || tries >= attemptsMin) isAttempted = true
    isDirty = true
  }

  const noteUnfetched = (release: string, wanted: DeploymentDesired, error: unknown): void => {
    const what = packageOf(release)
    const { operation, attempt } = wanted
    const tries = (failures.find(wanted, what)?.tries ?? 0) + 1
    const judged = judgeFailure(error, { tries, now: clock.now().getTime(), isCurrent: false })
    failures.record(wanted, what, { ...judged, operation, attempt, tries })
    isDirty = true
  }

  const pause = (): void => {
    pausedUntil = clock.now().getTime() + backoffMs(failuresInRow++)
  }

  return {
    deployment,
    /** What this deployment shall be now. Work that no longer leads there ends at once. */
    want: (next: DeploymentDesired | undefined): void => {
      if (canonicalJson(next ?? null) === canonicalJson(desired ?? null)) return
      desired = next
      pausedUntil = 0
      failuresInRow = 0
      if (underWay && isInterrupted(underWay.step, next)) underWay.abort.abort(new Error('a newer desired state'))
      wake()
    },
    /** Look again: something may have changed, or the time of a failed step has come. */
    wake,
    isDue: (now: number): boolean => (pausedUntil !== 0 && now >= pausedUntil && !isAtRest) || failures.isAnyDue(deployment, now),
    /** Whether it came to rest, was routed, or failed: a server is ready when this holds of all. */
    isAttempted: () => isAttempted,
    isAtRest: () => isAtRest,
    isGone: () => isAtRest && desired === undefined,
    state: () => ({ desired, view, step: underWay?.step }),
    close: async (): Promise<void> => {
      closing.abort(new Error('the agent ends'))
      await running
    }
  }
}

/** A store that did not answer so often in a row will not soon: the server opens for everybody else. */
const attemptsMin = 5

const minute = 60_000
const deadlineMs: Readonly<Record<Step['kind'], number>> = {
  install: 30 * minute,
  fetch: minute,
  link: minute,
  start: minute,
  // The longest start-up and shutdown times that fields allow are ten minutes.
  probe: 11 * minute,
  thaw: minute / 6,
  'quick-probe': minute / 6,
  route: minute / 6,
  refresh: minute / 6,
  close: minute / 6,
  unroute: minute / 6,
  freeze: 11 * minute,
  retire: 21 * minute,
  'remove-files': 10 * minute,
  'record-fallback': minute / 6,
  'forget-fallback': minute / 6
}

type Blamed = Extract<Step, { kind: 'install' | 'start' | 'probe' | 'route' }>

/** Steps that fail because of what the release is: the plan goes on without it. */
const isBlamedOnRelease = (step: Step): step is Blamed => ['install', 'start', 'probe', 'route'].includes(step.kind)

/** A current release that nothing stands in for is tried again now and then; one on trial gives way to the warm one instead. */
const isOnItsOwn = ({ current, warm, bake }: DeploymentDesired, release: string): boolean =>
  current?.release === release && !(bake && warm)

/**
 * Waiting is given up whenever something else is wanted, and taken up again where it still is; an installation that is
 * still wanted goes on.
 */
const isInterrupted = (step: Step, desired: DeploymentDesired | undefined): boolean => {
  if (step.kind === 'install') return ![desired?.current?.release, desired?.preparing?.release].includes(step.release)
  return ['fetch', 'probe', 'quick-probe', 'freeze', 'retire', 'start'].includes(step.kind)
}

/** A pool that is started or frozen behind our back would be a third one, or one that is routed again meanwhile. */
const isAbandonable = ({ kind }: Step): boolean => kind !== 'start' && kind !== 'freeze'

/** A pool that its keeper gave up has failed for what is desired now, and is not simply started again and again. */
const noteCrashes = (
  { failures, clock }: LaneDeps,
  deployment: string,
  desired: DeploymentDesired | undefined,
  view: DeploymentObserved,
  pools: readonly { readonly deployment: string; readonly release: string; readonly reason?: { code: string; message: string } }[]
): void => {
  if (!desired) return
  for (const { release } of view.pools.filter(({ state }) => state === 'crashed')) {
    const known = failures.find(desired, release)
    if (known) continue
    const found = pools.find((pool) => pool.deployment === deployment && pool.release === release)
    const reason = found?.reason ?? { code: 'crashed', message: 'its worker ended again and again' }
    const isCurrent = isOnItsOwn(desired, release)
    const retry = isCurrent ? { retryAt: clock.now().getTime() + minute } : {}
    const { operation, attempt } = desired
    failures.record(desired, release, { operation, attempt, reason, isFinal: true, tries: 1, ...retry })
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : String(error))
