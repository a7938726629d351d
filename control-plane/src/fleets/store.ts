import { asc, eq, inArray, sql } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { listMax } from '../platform/lists.ts'
import { fleets, servers } from './schema.ts'

export type FleetRow = typeof fleets.$inferSelect
export type ServerRow = typeof servers.$inferSelect
export type ServerReport = {
  readonly server: string
  readonly ready: boolean
  readonly generation: number
  readonly reportedAt: Date
}

export const listFleets = (tx: Tx): Promise<FleetRow[]> => tx.select().from(fleets).orderBy(asc(fleets.id)).limit(listMax)

export const findFleet = async (tx: Tx, id: string): Promise<FleetRow | undefined> => {
  const [row] = await tx.select().from(fleets).where(eq(fleets.id, id))
  return row
}

/** Also tells the writer. */
export const sayHeadLost = async (tx: Tx, id: string): Promise<void> => {
  await tx.execute(sql`select say_head_lost(${id})`)
}

export const listServers = async (tx: Tx, fleetIds: readonly string[]): Promise<ServerRow[]> =>
  fleetIds.length === 0
    ? []
    : tx
        .select()
        .from(servers)
        .where(inArray(servers.fleetId, [...fleetIds]))
        .orderBy(asc(servers.server))

/** How a fleet's servers are by their own last word, without anything of a subscription. */
export const listReports = async (tx: Tx, fleetId: string): Promise<ServerReport[]> => {
  const { rows } = await tx.execute<{ server: string; ready: boolean; generation: string; reported_at: string }>(
    sql`select * from fleet_reports(${fleetId})`
  )
  return rows.map(({ server, ready, generation, reported_at }) => ({
    server,
    ready,
    generation: Number(generation),
    reportedAt: new Date(reported_at)
  }))
}
