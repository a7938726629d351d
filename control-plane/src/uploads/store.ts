import type { UploadFinishRequest } from '@berth/shared/api/uploads'
import { and, eq, sql } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { uploads } from './schema.ts'

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

/** Answers nothing when the upload is not open (any more). */
export const finishUpload = async (
  tx: Tx,
  id: string,
  { manifest, packs }: UploadFinishRequest
): Promise<UploadRow | undefined> => {
  const [row] = await tx
    .update(uploads)
    .set({ state: 'finishing', manifest, packs, finishedAt: sql`now()` })
    .where(and(eq(uploads.id, id), eq(uploads.state, 'open')))
    .returning()
  return row
}
