import type { Reason } from '@berth/shared/api/common'
import type { ReleaseStatus } from '@berth/shared/api/releases'
import type { PoolSettings, Probe, Settings } from '@berth/shared/fields'
import type { ReleaseTuple } from '@berth/shared/release'
import { boolean, foreignKey, index, integer, jsonb, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import { builds } from '../builds/schema.ts'
import { deployments } from '../deployments/schema.ts'
import { fleets } from '../fleets/schema.ts'
import { instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'

/** What a release is asked to be run with: copied from the deployment when it is requested. */
export type ReleaseIntent = { readonly settings: Settings; readonly pool: PoolSettings; readonly probe: Probe }

/**
 * What servers run. A request holds `intent`; the sealer makes the tuple, its digest and the package for `fleetId`.
 * `incarnation` ends the names of the package's copies: a name is never written twice.
 */
export const releases = pgTable(
  'releases',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    deploymentId: uuid('deployment_id').notNull(),
    version: integer('version').notNull(),
    buildId: uuid('build_id')
      .notNull()
      .references(() => builds.id),
    intent: jsonb('intent').$type<ReleaseIntent>().notNull(),
    tuple: jsonb('tuple').$type<ReleaseTuple>(),
    digest: text('digest'),
    status: text('status').$type<ReleaseStatus>().notNull().default('requested'),
    reason: jsonb('reason').$type<Reason>(),
    packageDigest: text('package_digest'),
    incarnation: integer('incarnation').notNull().default(1),
    fleetId: text('fleet_id').references(() => fleets.id),
    wasLive: boolean('was_live').notNull().default(false),
    liveAt: instant('live_at'),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [
    subscriptionIsolation(),
    index('releases_of_deployment').on(t.deploymentId, t.createdAt),
    index('releases_by_status').on(t.status, t.createdAt),
    foreignKey({
      name: 'releases_deployment',
      columns: [t.subscriptionId, t.deploymentId],
      foreignColumns: [deployments.subscriptionId, deployments.id]
    })
  ]
)
