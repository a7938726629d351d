import type { UploadFinishRequest } from '@berth/shared/api/uploads'
import { and, count, eq, gt, or, sql } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { type PackSizes, uploads } from './schema.ts'

export type UploadRow = typeof uploads.$inferSelect

export const insertUpload = async (
  tx: Tx,
  { seconds, ...row }: Omit<typeof uploads.$inferInsert, 'expiresAt'> & { readonly seconds: number }
): Promise<UploadRow | undefined> => {
  const [inserted] = await tx
    .insert(uploads)
    .values({ ...row, expiresAt: sql`now() + make_interval(secs => ${seconds})` })
    .returning()
  return inserted
}

export const findUpload = async (tx: Tx, id: string): Promise<UploadRow | undefined> => {
  const [row] = await tx.select().from(uploads).where(eq(uploads.id, id))
  return row
}

/** The same, held until the transaction ends, so that what is added up meanwhile is not added past. */
export const lockUpload = async (tx: Tx, id: string): Promise<UploadRow | undefined> => {
  const [row] = await tx.select().from(uploads).where(eq(uploads.id, id)).for('update')
  return row
}

/** How many uploads of the subscription may hold something in the staging store; nobody opens another one meanwhile. */
export const countOpenUploads = async (tx: Tx, subscription: string): Promise<number> => {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`uploads/${subscription}`}, 0))`)
  const isOpen = and(eq(uploads.state, 'open'), gt(uploads.expiresAt, sql`now()`))
  const [row] = await tx
    .select({ open: count() })
    .from(uploads)
    .where(and(eq(uploads.subscriptionId, subscription), or(isOpen, eq(uploads.state, 'finishing'))))
  return row?.open ?? 0
}

export const keepPresigned = async (tx: Tx, id: string, presigned: PackSizes): Promise<void> => {
  await tx.update(uploads).set({ presigned }).where(eq(uploads.id, id))
}

/** Answers nothing when the upload is not open (any more). */
export const finishUpload = async (
  tx: Tx,
  id: string,
  { manifest, packs }: UploadFinishRequest
): Promise<UploadRow | undefined> => {
  const [row] = await tx
    .update(uploads)
    .set({ state: 'finishing', manifest, packs, presigned: {}, finishedAt: sql`now()` })
    .where(and(eq(uploads.id, id), eq(uploads.state, 'open')))
    .returning()
  return row
}
