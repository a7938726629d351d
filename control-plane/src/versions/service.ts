import type { Version, VersionList } from '@berth/shared/api/versions'
import { findApplication } from '../applications/store.ts'
import { type Db, inSubscription } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import * as store from './store.ts'

/** Versions are made by the sealer; here they are read. */
export const versionService = ({ db }: { readonly db: Db }) => ({
  list: (subscription: string, application: string): Promise<VersionList> =>
    inSubscription(db, subscription, async (tx) => {
      if (!(await findApplication(tx, application))) throw notFound()
      return { items: (await store.listVersions(tx, application)).map(present) }
    }),

  get: (subscription: string, application: string, number: number): Promise<Version> =>
    inSubscription(db, subscription, async (tx) => {
      const row = await store.findVersion(tx, application, number)
      if (!row) throw notFound()
      return present(row)
    })
})
export type VersionService = ReturnType<typeof versionService>

const present = (row: store.VersionRow): Version => ({
  number: row.number,
  manifest: row.manifest,
  kind: row.kind,
  files: row.files,
  bytes: row.bytes,
  note: row.note,
  publishedBy: row.publishedBy,
  publishedAt: row.createdAt.toISOString()
})
