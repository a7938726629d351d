import type { UploadDeploy, UploadPack, UploadState } from '@berth/shared/api/uploads'
import { bigint, foreignKey, index, integer, jsonb, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import { applications } from '../applications/schema.ts'
import { bytea, instant, subscriptionIsolation, subscriptionOwned } from '../platform/schema.ts'

/** The most bytes that may be put under each pack's id. */
export type PackSizes = Readonly<Record<string, number>>

/**
 * Publications on their way. `wrappedKey` is the upload key, wrapped; the key itself was handed out once. `files` and `bytes` are
 * what the publisher declared; `presigned` is what may be put under the URLs that were handed out. `number` is reserved by the sealer; `scheduleItemId` is what `deploy` became.
 */
export const uploads = pgTable(
  'uploads',
  {
    ...subscriptionOwned,
    id: uuid('id').primaryKey().defaultRandom(),
    applicationId: uuid('application_id').notNull(),
    createdBy: uuid('created_by').notNull(),
    state: text('state').$type<UploadState>().notNull().default('open'),
    wrappedKey: bytea('wrapped_key').notNull(),
    manifest: text('manifest'),
    packs: jsonb('packs').$type<UploadPack[]>().notNull().default([]),
    presigned: jsonb('presigned').$type<PackSizes>().notNull().default({}),
    files: integer('files').notNull(),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    note: text('note'),
    deploy: jsonb('deploy').$type<UploadDeploy>(),
    number: integer('number'),
    scheduleItemId: uuid('schedule_item_id'),
    refusalCode: text('refusal_code'),
    refusalMessage: text('refusal_message'),
    expiresAt: instant('expires_at').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    finishedAt: instant('finished_at')
  },
  (t) => [
    subscriptionIsolation(),
    index('uploads_by_state').on(t.state, t.createdAt),
    foreignKey({
      name: 'uploads_application',
      columns: [t.subscriptionId, t.applicationId],
      foreignColumns: [applications.subscriptionId, applications.id]
    })
  ]
)
