/** Runs `work` on every item, at most `limit` at a time; the first failure fails the whole, and nothing more is begun. */
export const mapBounded = async <T>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<void>
): Promise<void> => {
  let next = 0
  let hasFailed = false
  const lane = async () => {
    while (next < items.length && !hasFailed) {
      const index = next++
      try {
        await work(items[index] as T, index) // index < items.length
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  // Every lane is waited for, so that no work of ours goes on after the answer.
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, lane))
  const failed = lanes.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}

/** At most `limit` holders at a time, first come first served. `run` waits its turn unless `signal` aborts first. */
export const limiter = (limit: number) => {
  let free = limit
  const waiting: (() => void)[] = []
  const release = () => {
    const next = waiting.shift()
    if (next) next()
    else free++
  }
  const takeTurn = (signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const leave = () => {
        waiting.splice(waiting.indexOf(turn), 1)
        reject(signal?.reason)
      }
      const turn = () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      waiting.push(turn)
      signal?.addEventListener('abort', leave, { once: true })
    })
  return {
    run: async <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
      signal?.throwIfAborted()
      if (free > 0) free--
      else await takeTurn(signal)
      try {
        return await work()
      } finally {
        release()
      }
    }
  }
}
