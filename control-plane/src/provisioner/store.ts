import { and, eq, isNotNull, notInArray, sql } from 'drizzle-orm'
import type { FleetStatus as CloudStatus, Member } from '../cloud/cloud.ts'
import { fleets, servers } from '../fleets/schema.ts'
import type { Tx } from '../platform/database.ts'
import { hostNames, sites } from '../sites/schema.ts'

export type FleetRow = typeof fleets.$inferSelect

export const listFleets = (tx: Tx): Promise<FleetRow[]> => tx.select().from(fleets).orderBy(fleets.id)

/** Host name → fleet, of every site that has one. */
export const listPlacedNames = async (tx: Tx): Promise<ReadonlyMap<string, string>> => {
  const rows = await tx
    .select({ host: hostNames.host, fleet: sites.fleetId })
    .from(hostNames)
    .innerJoin(sites, eq(sites.id, hostNames.siteId))
    .where(isNotNull(sites.fleetId))
  return new Map(rows.flatMap(({ host, fleet }) => (fleet === null ? [] : [[host, fleet]])))
}

/** Notes what the cloud says about a fleet; answers whether anything about it is new. */
export const recordStatus = async (tx: Tx, fleet: string, status: CloudStatus): Promise<boolean> => {
  const changed = await tx
    .update(fleets)
    .set({ status: status.state, balancer: status.balancer })
    .where(
      and(
        eq(fleets.id, fleet),
        sql`(${fleets.status}, ${fleets.balancer}) is distinct from (${status.state}, ${status.balancer})`
      )
    )
    .returning({ id: fleets.id })
  const news = await Promise.all(status.members.map((member) => recordMember(tx, fleet, member)))
  const names = status.members.map(({ server }) => server)
  const gone = await tx
    .delete(servers)
    .where(and(eq(servers.fleetId, fleet), ...(names.length === 0 ? [] : [notInArray(servers.server, names)])))
    .returning({ server: servers.server })
  return changed.length > 0 || gone.length > 0 || news.includes(true)
}

const recordMember = async (tx: Tx, fleetId: string, { server, zone, state }: Member): Promise<boolean> => {
  const changed = await tx
    .insert(servers)
    .values({ fleetId, server, zone, state })
    .onConflictDoUpdate({
      target: [servers.fleetId, servers.server],
      set: { zone, state, seenAt: sql`now()` },
      setWhere: sql`(${servers.zone}, ${servers.state}) is distinct from (${zone}, ${state})`
    })
    .returning({ server: servers.server })
  return changed.length > 0
}
