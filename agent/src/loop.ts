import { createHash } from 'node:crypto'
import type { Clock } from '@berth/shared/clock'
import { Refusal } from '@berth/shared/refusal'
import { withDeadline } from './deadline.ts'
import type { Reconciler } from './reconcile.ts'
import type { Reporter } from './report.ts'
import type { DesiredReader } from './store/desired-reader.ts'
import { serverDesired } from './store/server-desired.ts'

/** Truth is looked at in full this often, whatever hints came or did not. */
const fullLookMs = 30_000
/** A store that takes longer is treated as one that does not answer: the next poll comes in time. */
const readMsMax = 20_000

/**
 * Constant work: one conditional look at the store a period, whatever happened in the last one. Carrying things out goes on
 * beside it, so that news is heard during long work. The agents of a fleet poll in one phase of the period, so that
 * a fleet switches together.
 */
export const runLoop = async (
  {
    reader,
    reconciler,
    reporter,
    sweep,
    clock,
    pollMs,
    fleet
  }: {
    readonly reader: DesiredReader
    readonly reconciler: Reconciler
    readonly reporter: Reporter
    /** Removes what no release here needs any more. */
    readonly sweep: () => Promise<void>
    readonly clock: Clock
    readonly pollMs: number
    readonly fleet: string
  },
  signal: AbortSignal
): Promise<void> => {
  const phase = phaseOf(fleet, pollMs)
  let lookedAt = clock.now().getTime()
  let reported = ''
  await reconciler.settle()
  const held = reader.held()
  if (held) {
    reconciler.want(serverDesired(held.sites))
    void reconciler.look()
  }
  while (!signal.aborted) {
    const isNews = await readInTime(reader, clock, signal)
    const now = reader.held()
    if (isNews && now) {
      reconciler.want(serverDesired(now.sites))
      void reconciler.look()
    }
    if (clock.now().getTime() - lookedAt >= fullLookMs) {
      lookedAt = clock.now().getTime()
      void reconciler.look().then(sweep)
    }
    reconciler.tick()
    // A head that expires, or a store that comes back, is news for the report though nothing was done.
    const status = JSON.stringify(reader.status())
    if (status !== reported) reporter.changed()
    reported = status
    reporter.tick()
    await clock.wait(untilPhase(clock.now().getTime(), pollMs, phase), signal)
  }
}

const readInTime = (reader: DesiredReader, clock: Clock, signal: AbortSignal): Promise<boolean> =>
  withDeadline({ clock, ms: readMsMax, signal, what: 'a look at the store' }, reader.read).catch((error) => {
    if (signal.aborted || error instanceof Refusal) return false
    throw error
  })

/** The moment of the period at which this fleet's agents poll. */
export const phaseOf = (fleet: string, pollMs: number): number =>
  createHash('sha256').update(fleet).digest().readUInt32BE(0) % pollMs

/** How long until the next such moment: more than nothing, at most one period. */
export const untilPhase = (now: number, pollMs: number, phase: number): number =>
  pollMs - ((((now - phase) % pollMs) + pollMs) % pollMs)
