import type { VersionKind } from '@berth/shared/api/versions'
import { bigint, foreignKey, integer, pgTable, primaryKey, text, unique, uuid } from 'drizzle-orm/pg-core'
import { applications } from '../applications/schema.ts'
import { instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'

/** Published states of applications; a row is never changed. */
export const versions = pgTable(
  'versions',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    applicationId: uuid('application_id').notNull(),
    number: integer('number').notNull(),
    manifest: text('manifest').notNull(),
    kind: text('kind').$type<VersionKind>().notNull(),
    files: integer('files').notNull(),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    note: text('note'),
    publishedBy: uuid('published_by').notNull(),
    uploadId: uuid('upload_id').notNull().unique(),
    createdAt: instant('created_at').notNull().defaultNow()
  },
  (t) => [
    subscriptionIsolation(),
    unique('versions_number').on(t.applicationId, t.number),
    unique('versions_in_subscription').on(t.subscriptionId, t.id),
    foreignKey({
      name: 'versions_application',
      columns: [t.subscriptionId, t.applicationId],
      foreignColumns: [applications.subscriptionId, applications.id]
    })
  ]
)

/** The packs of the vault in which a version's pieces lie. */
export const versionPacks = pgTable(
  'version_packs',
  {
    ...subscriptionOwned,
    versionId: uuid('version_id').notNull(),
    pack: text('pack').notNull(),
    bytes: bigint('bytes', { mode: 'number' }).notNull()
  },
  (t) => [
    subscriptionIsolation(),
    primaryKey({ columns: [t.versionId, t.pack] }),
    foreignKey({
      name: 'version_packs_version',
      columns: [t.subscriptionId, t.versionId],
      foreignColumns: [versions.subscriptionId, versions.id]
    })
  ]
)
