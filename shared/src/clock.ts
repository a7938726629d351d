import { setTimeout as sleep } from 'node:timers/promises'

/** Time as an argument: nothing below a process's entry reads a clock of its own. */
export type Clock = {
  readonly now: () => Date
  /** Resolves after `ms` milliseconds, or at once when `signal` is aborted; it never rejects. */
  readonly wait: (ms: number, signal?: AbortSignal) => Promise<void>
}

export const systemClock: Clock = {
  now: () => new Date(),
  wait: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined)
}
