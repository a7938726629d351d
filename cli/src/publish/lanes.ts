/**
 * At most `atOnce` pieces of work at a time. The first failure aborts the others' signal and comes out of the next `start`,
 * or of `end`; nothing is left running after `end` has settled.
 */
export const lanes = (atOnce: number) => {
  const controller = new AbortController()
  const running = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined

  const fail = (error: unknown) => {
    failure ??= { error }
    controller.abort(error)
  }
  const check = () => {
    if (failure) throw failure.error
  }
  return {
    /** Resolves when the work has begun, which may wait for an earlier one's end. */
    start: async (work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
      while (running.size >= atOnce) await Promise.race(running)
      check()
      const run = work(controller.signal)
        .catch(fail)
        .finally(() => running.delete(run))
      running.add(run)
    },
    /** Waits for all; `error` says that there will be no more work, and why. */
    end: async (error?: unknown): Promise<void> => {
      if (error !== undefined) fail(error)
      await Promise.all(running)
      check()
    }
  }
}
