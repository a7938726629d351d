import { layout } from '@berth/shared/layout'
import { getIfChanged } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { type Observed, observedBytesMax, parseObserved } from '@berth/shared/observed'
import { Refusal } from '@berth/shared/refusal'
import { and, eq, notInArray, sql } from 'drizzle-orm'
import { observedServers } from '../fleets/schema.ts'
import { type Db, inTransaction } from '../platform/database.ts'
import type { sayOnce } from '../platform/service-loop.ts'

export type Reports = ReadonlyMap<string, Observed>
type Seen = { readonly etag: string; readonly report: Observed | undefined }
type Fresh = { readonly server: string; readonly etag: string; readonly report: Observed; readonly reportedAt: Date }

/** Reads what a fleet's servers say of themselves, asks only for what changed, and keeps it in the database for those who look. */
export const makeObserver = ({
  db,
  objects,
  says
}: {
  readonly db: Db
  readonly objects: Objects
  readonly says: ReturnType<typeof sayOnce>
}) => {
  const seen = new Map<string, Map<string, Seen>>()

  /** One look at one server; a report that is too large, malformed or about somebody else is left aside, whoever wrote it. */
  const look = async (fleet: string, server: string, known: Map<string, Seen>): Promise<Fresh | undefined> => {
    const what = `the report of server ${server}`
    try {
      const answer = await getIfChanged(objects, layout.observed(fleet, server), known.get(server)?.etag, {
        bytesMax: observedBytesMax
      })
      if (answer.kind !== 'found') return undefined
      // Read once, good or bad: what was refused stays refused until it is replaced.
      known.set(server, { etag: answer.etag, report: known.get(server)?.report })
      const report = parseObserved(answer.bytes)
      if (report.fleet !== fleet || report.server !== server)
        throw new Refusal('bad_report', `server ${server} reported as ${report.server} of fleet ${report.fleet}`)
      known.set(server, { etag: answer.etag, report })
      says.well(what)
      return { server, etag: answer.etag, report, reportedAt: answer.lastModified }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      says.failed(what, error)
      return undefined
    }
  }

  /** A report that the database refuses is its server's trouble; a database that is away is everybody's. */
  const keepOne = async (fleet: string, fresh: Fresh): Promise<boolean> => {
    const what = `keeping the report of server ${fresh.server}`
    try {
      await keep(db, fleet, fresh)
      says.well(what)
      return true
    } catch (error) {
      if (error instanceof Refusal) throw error
      says.failed(what, error)
      return false
    }
  }

  return {
    /** What the fleet's servers said last. */
    reportsOf: (fleet: string): Reports =>
      new Map([...(seen.get(fleet) ?? [])].flatMap(([server, { report }]) => (report ? [[server, report]] : []))),

    /** Looks at every member once. Answers whether anybody said something new. */
    observe: async (fleet: string, members: readonly string[]): Promise<boolean> => {
      const known = seen.get(fleet) ?? new Map<string, Seen>()
      seen.set(fleet, known)
      let gone = false
      for (const server of known.keys()) if (!members.includes(server)) gone = known.delete(server)
      const fresh = (await Promise.all(members.map((server) => look(fleet, server, known)))).filter((one) => one !== undefined)
      const kept = new Set<string>()
      try {
        if (fresh.length > 0 || gone) await forgetOthers(db, fleet, members)
        for (const one of fresh) if (await keepOne(fleet, one)) kept.add(one.server)
      } finally {
        // Ask again for what could not be kept.
        for (const { server } of fresh) if (!kept.has(server)) known.delete(server)
      }
      return kept.size > 0 || gone
    }
  }
}

const forgetOthers = (db: Db, fleet: string, members: readonly string[]): Promise<void> =>
  inTransaction(db, async (tx) => {
    const left = members.length > 0 ? [notInArray(observedServers.server, [...members])] : []
    await tx.delete(observedServers).where(and(eq(observedServers.fleetId, fleet), ...left))
  })

const keep = (db: Db, fleetId: string, fresh: Fresh): Promise<void> =>
  inTransaction(db, async (tx) => {
    await tx
      .insert(observedServers)
      .values({ fleetId, ...fresh })
      .onConflictDoUpdate({
        target: [observedServers.fleetId, observedServers.server],
        set: { etag: sql`excluded.etag`, report: sql`excluded.report`, reportedAt: sql`excluded.reported_at` }
      })
  })
