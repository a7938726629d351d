import type { Clock } from '@berth/shared/clock'
import type { Keys } from '@berth/shared/keys/keys'
import type { Objects } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'
import type { Root } from '@berth/shared/trust'
import { eq, sql } from 'drizzle-orm'
import { readSnapshot } from '../desired/store.ts'
import { fleets } from '../fleets/schema.ts'
import { makeHeadWriter } from '../heads/writer.ts'
import type { Db } from '../platform/database.ts'
import { type Log, runLoop, sayOnce } from '../platform/service-loop.ts'
import { makeSingleFlights } from '../platform/single-flights.ts'
import { readRoots } from '../trust/roots.ts'
import { signerOf, signingKeys } from '../trust/signers.ts'
import { carryOut } from './carry-out.ts'
import { decide } from './decide.ts'
import { makeObserver } from './observe.ts'
import { keepSchedules } from './schedules.ts'
import { type Look, look } from './store.ts'

export type WriterDeps = {
  /** As `berth_writer`. */
  readonly db: Db
  /** Hints on the channel `berth_writer`. */
  readonly hints: (onHint: () => void, signal: AbortSignal) => Promise<void>
  readonly objects: Objects
  readonly keys: Keys
  readonly clock: Clock
  readonly log: Log
  /** How long heads are believed; a day when nothing is said. */
  readonly headValidityMs?: number | undefined
}

const service = 'writer'
const periodMs = 1000
/** How often reports are read while something is under way, and otherwise. */
const watchMs = 200
const restMs = 5000
const rootKeptMs = 60_000
/** One operation takes at most three steps in a pass; more rounds than this mean that two services undo each other's work. */
const roundsMax = 8

/** Carries operations on, renders desired state and writes heads; it opens no content and no secret. */
export const makeWriter = ({ db, hints, objects, keys, clock, log, headValidityMs }: WriterDeps) => {
  const says = sayOnce({ service, log })
  const observer = makeObserver({ db, objects, says })
  const heads = makeHeadWriter({
    objects,
    signer: signerOf(keys, signingKeys.writer),
    root: newestRoot(objects, clock),
    snapshot: (fleet) => readSnapshot(db, fleet),
    record: async (fleet, generation) => {
      await db
        .update(fleets)
        .set({ generation: sql`greatest(${fleets.generation}, ${generation}::bigint)`, headLostAtGeneration: null })
        .where(eq(fleets.id, fleet))
    },
    clock,
    validityMs: headValidityMs
  })
  const writing = makeSingleFlights(async (fleet) => {
    const what = `the head of fleet ${fleet}`
    try {
      await heads.write(fleet)
      says.well(what)
    } catch (error) {
      says.failed(what, error)
    }
  })
  /** On the database's clock: since when a fleet's reports could be read without a break. */
  const readableSince = new Map<string, Date>()
  const observedAtMs = new Map<string, number>()
  let latest: Look | undefined
  let wake = () => {}

  /** Everything that needs the database alone; schedules come last, since a hint is about an operation. */
  const act = async (): Promise<void> => {
    await advanceAll()
    if (await keepSchedules(db, alone)) await advanceAll()
  }

  /** Takes steps until none is left. Heads are started here and not waited for: a hint must not wait for the store. */
  const advanceAll = async (): Promise<void> => {
    for (let round = 1; round <= roundsMax; round++) {
      const seen = await look(db)
      latest = seen
      const decisions = decide(seen, observer.reportsOf, (fleet) => readableSince.get(fleet) ?? seen.now)
      let changed = false
      for (const decision of decisions) {
        const { deployment, fleet } = decision.pending
        const done = await alone(`the next step of deployment ${deployment.id}`, () => carryOut(db, decision))
        changed ||= done && !(decision.kind === 'step' && decision.step.kind === 'wait')
        if (done && fleet !== null) void writing.start(fleet)
      }
      for (const { id, revision } of seen.fleets) if (heads.isDue(id, revision)) void writing.start(id)
      if (!changed) return
    }
    log({ service, level: 'warn', message: `operations did not settle within ${roundsMax} rounds; the next pass goes on` })
  }

  /** One thing's trouble must not keep the others; a database that is away is everybody's. */
  const alone = async (what: string, work: () => Promise<boolean>): Promise<boolean> => {
    try {
      const done = await work()
      says.well(what)
      return done
    } catch (error) {
      if (error instanceof Refusal && error.code === 'unavailable') throw error
      says.failed(what, error)
      return false
    }
  }

  /** Reads the reports that are due; answers whether anybody said something new. */
  const watch = async (everyMs: number): Promise<boolean> => {
    const busy = new Set(latest?.pending.map(({ fleet }) => fleet))
    const nowMs = clock.now().getTime()
    const due = (latest?.fleets ?? []).filter(
      ({ id }) =>
        nowMs - (observedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) >= (busy.has(id) ? Math.min(watchMs, everyMs) : everyMs)
    )
    const news = await Promise.all(
      due.map(async ({ id, members }) => {
        const what = `reading the reports of fleet ${id}`
        observedAtMs.set(id, nowMs)
        try {
          const isNew = await observer.observe(
            id,
            members.map(({ server }) => server)
          )
          if (!readableSince.has(id)) readableSince.set(id, latest?.now ?? clock.now())
          says.well(what)
          return isNew
        } catch (error) {
          readableSince.delete(id)
          says.failed(what, error)
          return false
        }
      })
    )
    return news.includes(true)
  }

  const keepWatching = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      if (await watch(restMs)) wake()
      await clock.wait(watchMs, signal)
    }
  }

  return {
    /** One whole pass: act, look at every report, act on it, all heads written. */
    pass: async (): Promise<void> => {
      await act()
      await writing.settled()
      await watch(0)
      await act()
      await writing.settled()
    },
    /** Passes until `signal` is aborted. */
    run: async (signal: AbortSignal): Promise<void> => {
      const listenAndNudge = (onHint: () => void, until: AbortSignal) => {
        wake = onHint
        return hints(onHint, until)
      }
      const acting = runLoop({ service, pass: act, hints: listenAndNudge, periodMs: () => periodMs, clock, log }, signal)
      await Promise.all([acting, keepWatching(signal)])
      await writing.settled()
    }
  }
}

/** The newest root, asked for once a minute. */
const newestRoot = (objects: Objects, clock: Clock): (() => Promise<Root>) => {
  let kept: { readonly root: Root; readonly untilMs: number } | undefined
  return async () => {
    const nowMs = clock.now().getTime()
    if (kept && nowMs < kept.untilMs) return kept.root
    const { root } = (await readRoots(objects)).at(-1) ?? { root: undefined }
    if (!root) throw new Refusal('no_root', 'no root of trust is in the object store yet')
    kept = { root, untilMs: nowMs + rootKeptMs }
    return root
  }
}
