/** What is known of one service's life, to judge when it may be started again. */
export type ServiceLife = {
  /** Deaths in a row, each soon after its start. */
  readonly failures: number
  readonly startedAtMs: number
  /** Not before this is it started again. */
  readonly startAtMs: number
}

const steadyAfterMs = 10_000
const firstDelayMs = 500
const delayMsMax = 30_000

/** A service that just started, or was found running by a supervisor that just started. */
export const started = (life: ServiceLife | undefined, nowMs: number): ServiceLife => ({
  failures: life?.failures ?? 0,
  startedAtMs: nowMs,
  startAtMs: 0
})

/** A service that was found dead: at once again if it had run steadily, otherwise later each time. */
export const died = (life: ServiceLife, nowMs: number): ServiceLife => {
  const failures = nowMs - life.startedAtMs >= steadyAfterMs ? 0 : life.failures + 1
  const delayMs = failures === 0 ? 0 : Math.min(firstDelayMs * 2 ** (failures - 1), delayMsMax)
  return { failures, startedAtMs: life.startedAtMs, startAtMs: nowMs + delayMs }
}
