import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until `check` answers something truthy and answers that. Fails with the last error, or with `what`, at the deadline:
 * a test waits for what it means, never for a time.
 */
export const eventually = async <T>(
  check: () => Promise<T> | T,
  { deadlineMs = 15_000, everyMs = 25, what = 'the condition' }: { deadlineMs?: number; everyMs?: number; what?: string } = {}
): Promise<NonNullable<T>> => {
  const deadline = Date.now() + deadlineMs
  let lastError: unknown
  for (;;) {
    try {
      const value = await check()
      if (value) return value
      lastError = undefined
    } catch (error) {
      lastError = error
    }
    if (Date.now() > deadline) throw new Error(`${what} did not come true within ${deadlineMs} ms`, { cause: lastError })
    await sleep(everyMs)
  }
}
