import { asc, eq } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { listMax } from '../platform/lists.ts'
import { accounts } from './schema.ts'

export type AccountRow = typeof accounts.$inferSelect

export const listAccounts = (tx: Tx): Promise<AccountRow[]> =>
  tx.select().from(accounts).orderBy(asc(accounts.createdAt), asc(accounts.id)).limit(listMax)

export const findAccount = async (tx: Tx, id: string): Promise<AccountRow | undefined> => {
  const [row] = await tx.select().from(accounts).where(eq(accounts.id, id))
  return row
}

/** The account that things go into when nobody says which. */
export const findFirstAccount = async (tx: Tx): Promise<AccountRow | undefined> => {
  const [row] = await tx.select().from(accounts).orderBy(asc(accounts.createdAt), asc(accounts.id)).limit(1)
  return row
}

/** Answers nothing when the name is taken. */
export const insertAccount = async (tx: Tx, row: { subscriptionId: string; name: string }): Promise<AccountRow | undefined> => {
  const [inserted] = await tx.insert(accounts).values(row).onConflictDoNothing().returning()
  return inserted
}
