import type { Clock } from '@berth/shared/clock'
import { Refusal } from '@berth/shared/refusal'

/**
 * Runs `work` until it is done, `signal` aborts or the time is over; then `work` is told by its own signal, and nobody waits
 * for it any longer. Whatever hangs, the caller goes on.
 */
export const withDeadline = async <T>(
  {
    clock,
    ms,
    signal,
    what
  }: { readonly clock: Clock; readonly ms: number; readonly signal: AbortSignal; readonly what: string },
  work: (signal: AbortSignal) => Promise<T>
): Promise<T> => {
  signal.throwIfAborted()
  const late = new AbortController()
  const done = new AbortController()
  const both = AbortSignal.any([signal, late.signal])
  const aborted = new Promise<never>((_, reject) => {
    both.addEventListener('abort', () => reject(both.reason), { once: true })
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
