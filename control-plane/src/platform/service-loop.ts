import type { Clock } from '@berth/shared/clock'
import { detailsOf } from './reasons.ts'

/**
 * How a service says what happened. Entries never hold secrets or a library's text beyond an error's message and stack; no object
 * fits in, so that nothing is logged that nobody looked at.
 */
export type LogEntry = {
  readonly service: string
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly [detail: string]: string | number
}
export type Log = (entry: LogEntry) => void

export type LoopOptions = {
  readonly service: string
  readonly pass: () => Promise<void>
  /** Calls back whenever somebody hints that there is work; answers when the signal is aborted. */
  readonly hints: (onHint: () => void, signal: AbortSignal) => Promise<void>
  /** How long to wait without a hint; asked before each wait. */
  readonly periodMs: () => number
  readonly clock: Clock
  readonly log: Log
}

const retryDelayMsMax = 10_000

/**
 * Passes one after another until `signal` is aborted: at once after a hint, else each period. A failing pass is said once, tried
 * again with growing waits, and said once more when it works again.
 */
export const runLoop = async (
  { service, pass, hints, periodMs, clock, log }: LoopOptions,
  signal: AbortSignal
): Promise<void> => {
  let wake = new AbortController()
  let hinted = false
  const hear = () => {
    hinted = true
    wake.abort()
  }
  signal.addEventListener('abort', hear, { once: true })
  const listening = hints(hear, signal)

  const says = sayOnce({ service, log })
  let failures = 0
  while (!signal.aborted) {
    hinted = false
    wake = new AbortController()
    try {
      await pass()
      failures = 0
      says.well('pass')
    } catch (error) {
      failures += 1
      says.failed('pass', error)
    }
    const waitMs = failures === 0 ? periodMs() : Math.min(250 * 2 ** (failures - 1), retryDelayMsMax)
    if (!hinted || failures > 0) await clock.wait(waitMs, failures > 0 ? signal : wake.signal)
  }
  await listening
}

/** Says that something fails when it begins to, and that it works when it does so again: an hour's outage is two lines. */
export const sayOnce = ({ service, log }: { readonly service: string; readonly log: Log }) => {
  const failing = new Map<string, string>()
  return {
    failed: (what: string, error: unknown): void => {
      const { reason, ...details } = detailsOf(error)
      if (failing.get(what) === reason) return
      failing.set(what, reason)
      log({ service, level: 'error', message: `${what} failed and will be tried again: ${reason}`, ...details })
    },
    well: (what: string): void => {
      if (failing.delete(what)) log({ service, level: 'info', message: `${what} works again` })
    }
  }
}
