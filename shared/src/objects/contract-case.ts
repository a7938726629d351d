import type { Objects } from './objects.ts'

/** One side of the door, ready to be asked. The first segments `fleets` and `vault` exist. */
export type ObjectsSide = {
  readonly objects: Objects
  /** The same store as another process would open it. */
  readonly reopen: () => Promise<Objects>
  /** Moves the clock by which URLs are signed and judged. */
  readonly passSeconds: (seconds: number) => void
  readonly close: () => Promise<void>
}

/** What a case gets: the side, and a prefix of its own. */
export type ObjectsCase = (side: ObjectsSide, prefix: string) => Promise<void>
