/** IIS's rapid-fail protection, by its defaults: so many deaths within so long, and the pool is given up. */
export const crashesMax = 5
const windowMs = 300_000

/** The deaths that still count at `now`. */
export const withinWindow = (deaths: readonly number[], now: number): number[] => deaths.filter((death) => now - death < windowMs)

/**
 * What follows from the last of `deaths` (all within the window): how long to wait before the next start, or nothing when
 * the pool is given up. The first death is mended at once; then each wait doubles.
 */
export const restartDelayMs = (deaths: readonly number[]): number | undefined =>
  deaths.length >= crashesMax ? undefined : deaths.length <= 1 ? 0 : 250 * 2 ** (deaths.length - 2)
