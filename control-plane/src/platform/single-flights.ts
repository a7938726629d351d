/**
 * Runs `work` for a key at most once at a time. Starting it while it runs makes it run once more afterwards, so that what changed
 * meanwhile is seen, however often it was started. At most `parallelMax` keys are worked on at once. `work` must not reject.
 */
export const makeSingleFlights = (work: (key: string) => Promise<void>, parallelMax = Number.POSITIVE_INFINITY) => {
  let working = 0
  const waiting: (() => void)[] = []
  const takeTurn = async (): Promise<void> => {
    if (working < parallelMax) working += 1
    else await new Promise<void>((turn) => waiting.push(turn))
  }
  /** The turn goes to the next one in line, or back. */
  const passTurn = (): void => {
    const next = waiting.shift()
    if (next) next()
    else working -= 1
  }

  const flying = new Map<string, { again: boolean; readonly done: Promise<void> }>()

  const fly = async (key: string): Promise<void> => {
    // Not before the caller has noted that this is flying.
    await Promise.resolve()
    for (let again = true; again; ) {
      const flight = flying.get(key)
      await takeTurn()
      if (flight) flight.again = false
      await work(key)
      passTurn()
      again = flight?.again ?? false
    }
    flying.delete(key)
  }

  return {
    start: (key: string): Promise<void> => {
      const flight = flying.get(key)
      if (flight) {
        flight.again = true
        return flight.done
      }
      const done = fly(key)
      flying.set(key, { again: false, done })
      return done
    },
    /** Resolves when nothing is under way any more. */
    settled: async (): Promise<void> => {
      while (flying.size > 0) await Promise.all([...flying.values()].map(({ done }) => done))
    }
  }
}
