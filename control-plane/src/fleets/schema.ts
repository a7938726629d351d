import type { FleetStatus, MemberState } from '@berth/shared/api/fleets'
import type { Tenancy } from '@berth/shared/birth'
import type { Observed } from '@berth/shared/observed'
import { bigint, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core'
import { instant } from '../platform/schema.ts'

/**
 * Sets of identical servers. `revision` is raised under the row's lock by every transaction that changes what is rendered
 * (`raiseRevision`); `generation` is the last one that the writer recorded, never the source of the next.
 */
export const fleets = pgTable('fleets', {
  id: text('id').primaryKey(),
  tenancy: text('tenancy').$type<Tenancy>().notNull(),
  region: text('region').notNull(),
  cell: text('cell').notNull(),
  servers: integer('servers').notNull(),
  status: text('status').$type<FleetStatus>().notNull().default('creating'),
  revision: bigint('revision', { mode: 'number' }).notNull().default(0),
  generation: bigint('generation', { mode: 'number' }).notNull().default(0),
  /** An operator's word that the head of this generation is gone from the object store for good; it says nothing of a later one. */
  headLostAtGeneration: bigint('head_lost_at_generation', { mode: 'number' }),
  balancer: text('balancer'),
  createdAt: instant('created_at').notNull().defaultNow()
})

const ofFleet = {
  fleetId: text('fleet_id')
    .notNull()
    .references(() => fleets.id)
}

/** The members of a fleet as the cloud described them last. */
export const servers = pgTable(
  'servers',
  {
    ...ofFleet,
    server: text('server').notNull(),
    zone: text('zone').notNull(),
    state: text('state').$type<MemberState>().notNull(),
    seenAt: instant('seen_at').notNull().defaultNow()
  },
  (t) => [primaryKey({ columns: [t.fleetId, t.server] })]
)

/** The last report of each server; it holds every subscription's deployments, so the API reads it through a function only. */
export const observedServers = pgTable(
  'observed_servers',
  {
    ...ofFleet,
    server: text('server').notNull(),
    etag: text('etag').notNull(),
    report: jsonb('report').$type<Observed>().notNull(),
    /** The store's clock. */
    reportedAt: instant('reported_at').notNull()
  },
  (t) => [primaryKey({ columns: [t.fleetId, t.server] })]
)

/** Which packs lie in a fleet's prefix, under which incarnation. */
export const fleetPacks = pgTable(
  'fleet_packs',
  { ...ofFleet, pack: text('pack').notNull(), incarnation: integer('incarnation').notNull() },
  (t) => [primaryKey({ columns: [t.fleetId, t.pack] })]
)
