import { canonicalJson } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import type { Objects } from '@berth/shared/objects/objects'
import { type Observed, type ObservedDeployment, type ObservedPool, observedBytesMax } from '@berth/shared/observed'
import { withDeadline } from './deadline.ts'
import type { Failures } from './failures.ts'
import { findServing } from './plan/plan.ts'
import type { DeploymentDesired, DeploymentObserved, PoolObserved, Step } from './plan/state.ts'

const everyMs = 60_000
const putMsMax = 20_000
const poolsMax = 4

/** What a lane knows of its deployment. */
export type LaneState = {
  readonly deployment: string
  readonly desired: DeploymentDesired | undefined
  readonly view: DeploymentObserved
  readonly step: Step | undefined
}

/** One deployment's part of the report. */
export const observedDeployment = (
  { deployment, desired, view, step }: LaneState,
  failures: Pick<Failures, 'find'>,
  restartsOf: (deployment: string, release: string) => number
): ObservedDeployment => {
  const named = [desired?.current, desired?.preparing, desired?.warm].flatMap((ref) => (ref ? [ref.release] : []))
  const worked = step && 'release' in step ? [step.release] : []
  const releases = [...new Set([...view.pools.map(({ release }) => release), ...named, ...worked])]
  const pools = releases.flatMap((release): ObservedPool[] => {
    const pool = view.pools.find((found) => found.release === release)
    const failure = desired && failures.find(desired, release)
    // A warm release without a pool is only kept as files; one without a pool that nobody names is on its way out.
    const isAwaited = release === desired?.current?.release || release === desired?.preparing?.release
    if (!pool && !failure && !isAwaited) return []
    const isFailed = failure?.isFinal && !(pool?.state === 'running' && pool.trust === 'probed')
    return [
      {
        release,
        state: isFailed ? 'failed' : pool ? stateOf(pool) : 'preparing',
        restarts: restartsOf(deployment, release),
        ...(failure && { reason: failure.reason }),
        ...(failure?.diagnostics && { diagnostics: failure.diagnostics })
      }
    ]
  })
  return {
    deployment,
    routed: findServing(view) ?? null,
    operation: desired?.operation ?? null,
    attempt: desired?.attempt ?? 0,
    pools: pools.slice(0, poolsMax),
    ...(view.fallback && { fallback: view.fallback })
  }
}

const stateOf = ({ state, trust }: PoolObserved): ObservedPool['state'] => {
  if (state === 'frozen') return 'frozen'
  return state === 'running' && trust === 'probed' ? 'ready' : 'preparing'
}

/** Whether this deployment serves what is desired and nothing is under way: nobody waits for news of its pools. */
export const isSettled = ({ desired, view }: Pick<LaneState, 'desired' | 'view'>): boolean =>
  desired?.current != null && desired.preparing === null && findServing(view) === desired.current.release

/**
 * A report that everybody will read, never larger than what is read. When it would be, reasons lose their words first; then
 * the pools of settled deployments go, then all reasons, and at last as many deployments as must, settled ones first.
 */
export const fitReport = (report: Observed, settled: ReadonlySet<string> = new Set()): string => {
  const wordless = withReasons(report, ({ code }) => ({ code, message: '' }))
  const short = { ...withoutSettledPools(wordless, settled), builds: [], notIsolated: report.notIsolated.slice(0, 1) }
  const bare = withReasons(short, () => undefined)
  for (const each of [report, wordless, withoutSettledPools(wordless, settled), short, bare]) {
    const text = canonicalJson(each)
    if (Buffer.byteLength(text) <= observedBytesMax) return text
  }
  return canonicalJson(cut(bare, settled))
}

const withoutSettledPools = (report: Observed, settled: ReadonlySet<string>): Observed => ({
  ...report,
  deployments: report.deployments.map((each) =>
    settled.has(each.deployment) && each.pools.every(({ reason }) => !reason) ? { ...each, pools: [] } : each
  )
})

const cut = (report: Observed, settled: ReadonlySet<string>): Observed => {
  const { deployments } = report
  const isAwaited = ({ deployment }: ObservedDeployment) => !settled.has(deployment)
  const ordered = [...deployments.filter(isAwaited), ...deployments.filter((each) => !isAwaited(each))]
  let room = observedBytesMax - Buffer.byteLength(canonicalJson({ ...report, deployments: [] }))
  const kept = ordered.filter((each) => {
    room -= Buffer.byteLength(canonicalJson(each)) + 1
    return room >= 0
  })
  return { ...report, deployments: kept }
}

const withReasons = (
  report: Observed,
  change: (reason: { code: string; message: string }) => { code: string; message: string } | undefined
): Observed => ({
  ...report,
  deployments: report.deployments.map((deployment) => ({
    ...deployment,
    pools: deployment.pools.map(({ reason, ...pool }) => {
      const kept = reason && change(reason)
      return kept ? { ...pool, reason: kept } : pool
    })
  }))
})

export type Reporter = ReturnType<typeof reporter>

/**
 * Writes this server's report: at once when something changed, and each minute. A store that does not answer hurts nobody:
 * the next cycle writes the newest.
 */
export const reporter = ({
  objects,
  key,
  build,
  settled,
  clock
}: {
  readonly objects: Pick<Objects, 'put'>
  readonly key: string
  readonly build: () => Omit<Observed, 'at'>
  /** The deployments of which a report says less when it would be too large. */
  readonly settled: () => ReadonlySet<string>
  readonly clock: Clock
}) => {
  const never = new AbortController().signal
  let writtenText: string | undefined
  let writtenAt = 0
  let isAsked = false
  let writing: Promise<void> | undefined

  const write = async (): Promise<void> => {
    while (isAsked) {
      isAsked = false
      // Changes that come in one turn of the loop travel in one report.
      await Promise.resolve()
      const report = build()
      const text = canonicalJson(report)
      const now = clock.now()
      if (text === writtenText && now.getTime() - writtenAt < everyMs) continue
      const body = Buffer.from(fitReport({ ...report, at: now.toISOString() }, settled()))
      // A put that hangs must not silence the server: it is given up, and the next poll writes the newest.
      await withDeadline({ clock, ms: putMsMax, signal: never, what: 'writing the report' }, () =>
        objects.put(key, body, { contentType: 'application/json' })
      )
      writtenText = text
      writtenAt = now.getTime()
    }
  }
  const start = (): void => {
    isAsked = true
    writing ??= write()
      .catch(() => {
        isAsked = true
      })
      .finally(() => {
        writing = undefined
      })
  }

  return {
    /** Something may be different: the report is built anew, and written if it is. */
    changed: start,
    /** Called at every poll: writes again what failed to be written, and each minute whatever is so. */
    tick: (): void => {
      if (isAsked || writtenText === undefined || clock.now().getTime() - writtenAt >= everyMs) start()
    },
    /** Resolves when no write is under way. */
    idle: async (): Promise<void> => writing
  }
}
