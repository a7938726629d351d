import type { Status } from '@berth/shared/api/common'
import type { Tenancy } from '@berth/shared/birth'
import { boolean, foreignKey, index, pgTable, text, unique, uuid } from 'drizzle-orm/pg-core'
import { fleets } from '../fleets/schema.ts'
import { instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'

/** Where applications are reached. `fleetId` is null until the site was placed. */
export const sites = pgTable(
  'sites',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    name: text('name').notNull(),
    region: text('region').notNull(),
    tenancy: text('tenancy').$type<Tenancy>().notNull().default('public'),
    fleetId: text('fleet_id').references(() => fleets.id),
    status: text('status').$type<Status>().notNull().default('active'),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [
    subscriptionIsolation(),
    unique('sites_name').on(t.subscriptionId, t.name),
    unique('sites_in_subscription').on(t.subscriptionId, t.id),
    index('sites_of_fleet').on(t.fleetId)
  ]
)

/** A host name belongs to one site on the whole platform. */
export const hostNames = pgTable(
  'host_names',
  {
    ...subscriptionOwned,
    host: text('host').primaryKey(),
    siteId: uuid('site_id').notNull(),
    generated: boolean('generated').notNull()
  },
  (t) => [
    subscriptionIsolation(),
    index('host_names_of_site').on(t.siteId),
    foreignKey({
      name: 'host_names_site',
      columns: [t.subscriptionId, t.siteId],
      foreignColumns: [sites.subscriptionId, sites.id]
    })
  ]
)
