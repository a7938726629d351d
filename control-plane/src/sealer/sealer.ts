import type { Clock } from '@berth/shared/clock'
import type { Keys } from '@berth/shared/keys/keys'
import type { Objects } from '@berth/shared/objects/objects'
import { and, asc, eq, isNotNull, isNull } from 'drizzle-orm'
import { type Db, inTransaction, type Tx } from '../platform/database.ts'
import { type Log, runLoop, sayOnce } from '../platform/service-loop.ts'
import { makeSingleFlights } from '../platform/single-flights.ts'
import { releases } from '../releases/schema.ts'
import { subscriptions } from '../subscriptions/schema.ts'
import { signerOf, signingKeys } from '../trust/signers.ts'
import { uploads } from '../uploads/schema.ts'
import type { ReachCheckpoint } from './checkpoints.ts'
import { makeContentKeys } from './content-keys.ts'
import type { SealerContext, SealLimits } from './deps.ts'
import { packageRelease } from './package-release.ts'
import { sealUpload } from './seal-upload.ts'
import { sweepStaging } from './staging.ts'
import { makeSubscriptionKeys } from './subscription-keys.ts'

export type SealerDeps = {
  /** As `berth_sealer`. */
  readonly db: Db
  /** Hints on the channel `berth_sealer`. */
  readonly hints: (onHint: () => void, signal: AbortSignal) => Promise<void>
  readonly objects: Objects
  readonly keys: Keys
  readonly clock: Clock
  readonly log: Log
  readonly limits: SealLimits
  /** Of the servers that versions run on; builds of others are not chosen. */
  readonly platform: string
  /** Tests stop the sealer here. */
  readonly checkpoint?: ReachCheckpoint
}

const service = 'sealer'
const periodMs = 1000
/** How many uploads, and beside them how many releases, are worked on at once: each holds a pack or two in memory. */
const parallelMax = 4
const sweepEveryMs = 10 * 60_000
const retryMsMax = 10_000

/** Makes subscriptions' keys, versions of uploads, and packages of releases. The only one that opens what was published. */
export const makeSealer = ({ checkpoint = async () => {}, ...deps }: SealerDeps) => {
  const { db, hints, objects, keys, clock, log, limits, platform } = deps
  const says = sayOnce({ service, log })
  const context: SealerContext = {
    db,
    objects,
    keys,
    signer: signerOf(keys, signingKeys.sealer),
    contentKeys: makeContentKeys({ objects, keys }),
    limits,
    platform,
    clock,
    reach: checkpoint
  }

  /** Failures of one thing are its own: said once, tried again with growing waits, and no other thing waits for it. */
  const failing = new Map<string, { readonly failures: number; readonly againAtMs: number }>()
  const task = (what: string, work: (id: string) => Promise<void>) =>
    makeSingleFlights(async (id) => {
      const name = `${what} ${id}`
      if ((failing.get(name)?.againAtMs ?? 0) > clock.now().getTime()) return
      try {
        await work(id)
        failing.delete(name)
        says.well(name)
      } catch (error) {
        const failures = (failing.get(name)?.failures ?? 0) + 1
        failing.set(name, { failures, againAtMs: clock.now().getTime() + Math.min(250 * 2 ** failures, retryMsMax) })
        says.failed(name, error)
      }
    }, parallelMax)
  const keyMaking = task('making the keys of subscription', (id) => makeSubscriptionKeys(context, id))
  const sealing = task('sealing upload', (id) => sealUpload(context, id))
  const packaging = task('packaging release', (id) => packageRelease(context, id))

  const startAll = async () => {
    const work = await inTransaction(db, findWork)
    for (const { id } of work.keyless) void keyMaking.start(id)
    for (const { id } of work.finishing) void sealing.start(id)
    for (const { id } of work.requested) void packaging.start(id)
  }

  let sweptAtMs = Number.NEGATIVE_INFINITY
  const sweep = async () => {
    if (clock.now().getTime() - sweptAtMs < sweepEveryMs) return
    await sweepStaging(db, objects)
    sweptAtMs = clock.now().getTime()
  }
  const settled = () => Promise.all([keyMaking.settled(), sealing.settled(), packaging.settled()])

  return {
    /** One whole pass: what waits is done, and what comes of it (keys, then versions, then packages), before it answers. */
    pass: async (): Promise<void> => {
      for (let round = 0; round < 3; round++) {
        await startAll()
        await settled()
      }
      await sweep()
    },
    /** Passes until `signal` is aborted; what is under way then is finished. */
    run: async (signal: AbortSignal): Promise<void> => {
      const pass = async () => {
        await startAll()
        await sweep()
      }
      await runLoop({ service, pass, hints, periodMs: () => periodMs, clock, log }, signal)
      await settled()
    }
  }
}

/** Everything that waits. What needs a subscription's keys comes only once they are there. */
const findWork = async (tx: Tx) => ({
  keyless: await tx.select({ id: subscriptions.id }).from(subscriptions).where(isNull(subscriptions.keysMadeAt)),
  finishing: await tx
    .select({ id: uploads.id })
    .from(uploads)
    .innerJoin(subscriptions, eq(subscriptions.id, uploads.subscriptionId))
    .where(and(eq(uploads.state, 'finishing'), isNotNull(subscriptions.keysMadeAt)))
    .orderBy(asc(uploads.finishedAt)),
  requested: await tx
    .select({ id: releases.id })
    .from(releases)
    .where(eq(releases.status, 'requested'))
    .orderBy(asc(releases.createdAt))
})
