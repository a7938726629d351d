/**
 * Runs `work` for a key at most once at a time. Starting it while it runs makes it run once more afterwards, so that what changed
 * meanwhile is seen, however often it was started. `work` must not reject.
 */
export const makeSingleFlights = (work: (key: string) => Promise<void>) => {
  const flying = new Map<string, { again: boolean; readonly done: Promise<void> }>()

  const fly = async (key: string): Promise<void> => {
    // Not before the caller has noted that this is flying.
    await Promise.resolve()
    for (let again = true; again; ) {
      const flight = flying.get(key)
      if (flight) flight.again = false
      await work(key)
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
