import { layout } from '@berth/shared/layout'
import type { Objects } from '@berth/shared/objects/objects'
import { and, eq, inArray, lt, sql } from 'drizzle-orm'
import { type Db, inTransaction } from '../platform/database.ts'
import { uploads } from '../uploads/schema.ts'
import { refuseExpired } from './uploads-store.ts'

/** Removes everything that was sent for an upload. */
export const deleteStaging = async (objects: Objects, subscription: string, upload: string): Promise<void> => {
  for (;;) {
    const { objects: found, next } = await objects.list(layout.stagingPrefix(subscription, upload))
    await Promise.all(found.map(({ key }) => objects.delete(key)))
    if (next === undefined) return
  }
}

/** Ends uploads that nobody finished in time, and removes what is left of those that are over: from a sealer that was stopped. */
export const sweepStaging = async (db: Db, objects: Objects): Promise<void> => {
  const expired = await inTransaction(db, (tx) =>
    tx
      .select({ id: uploads.id })
      .from(uploads)
      .where(and(eq(uploads.state, 'open'), lt(uploads.expiresAt, sql`now()`)))
  )
  for (const { id } of expired) await refuseExpired(db, id)

  const left = await listStaged(objects)
  if (left.size === 0) return
  // One parameter however many they are: a statement takes no more than 65,535.
  const over = await inTransaction(db, (tx) =>
    tx
      .select({ id: uploads.id, subscription: uploads.subscriptionId })
      .from(uploads)
      .where(and(sql`${uploads.id} = any(${sql.param([...left])}::uuid[])`, inArray(uploads.state, ['sealed', 'refused'])))
  )
  for (const { id, subscription } of over) await deleteStaging(objects, subscription, id)
}

/** The uploads of which something lies in the staging store. */
const listStaged = async (objects: Objects): Promise<Set<string>> => {
  const staged = new Set<string>()
  let after: string | undefined
  do {
    const page = await objects.list('staging/', after === undefined ? {} : { after })
    for (const { key } of page.objects) {
      const [, , upload] = key.split('/')
      if (upload && uuid.test(upload)) staged.add(upload)
    }
    after = page.next
  } while (after !== undefined)
  return staged
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
