import type { Clock } from '@berth/shared/clock'
import { Refusal } from '@berth/shared/refusal'

type Limits = {
  readonly clock: Clock
  readonly ms: number
  readonly signal: AbortSignal
  /** Named in the refusal `deadline`. */
  readonly what: string
  readonly isAbandonable?: boolean
}

/**
 * Runs `work` until it is done, `signal` aborts or the time is over; then `work` is told by its own signal, and nobody waits
 * for it any longer: whatever hangs, the caller goes on. Work that must not go on behind the caller's back is not
 * `isAbandonable`: when `signal` aborts it is told, and waited for until its time is over.
 */
export const withDeadline = async <T>(
  { clock, ms, signal, what, isAbandonable = true }: Limits,
  work: (signal: AbortSignal) => Promise<T>
): Promise<T> => {
  signal.throwIfAborted()
  const late = new AbortController()
  const done = new AbortController()
  const both = AbortSignal.any([signal, late.signal])
  const ending = isAbandonable ? both : late.signal
  const aborted = new Promise<never>((_, reject) => {
    ending.addEventListener('abort', () => reject(ending.reason), { once: true })
  })
  void clock.wait(ms, done.signal).then(() => {
    if (!done.signal.aborted) late.abort(new Refusal('deadline', `${what} took longer than ${ms} ms`))
  })
  try {
    return await Promise.race([work(both), aborted])
  } finally {
    done.abort()
    aborted.catch(() => undefined)
  }
}
