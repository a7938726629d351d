import type { GrantRole } from '@berth/shared/api/users'
import { and, eq, sql } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { grants, sessions, users } from './schema.ts'

export const findUserByEmail = async (tx: Tx, email: string) => {
  const [row] = await tx.select().from(users).where(eq(users.email, email.toLowerCase()))
  return row
}

/** Answers nothing when somebody has this address already. */
export const insertUser = async (tx: Tx, user: Omit<typeof users.$inferInsert, 'id'>) => {
  const [row] = await tx
    .insert(users)
    .values({ ...user, email: user.email.toLowerCase() })
    .onConflictDoNothing()
    .returning()
  return row
}

export const hasUsers = async (tx: Tx): Promise<boolean> => (await tx.select({ id: users.id }).from(users).limit(1)).length > 0

/** A session that has not ended, with its user. */
export const findSession = async (tx: Tx, id: string) => {
  const [row] = await tx
    .select({ session: sessions, user: users })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(and(eq(sessions.id, id), sql`${sessions.expiresAt} > now()`))
  return row
}

export const insertSession = async (tx: Tx, session: { userId: string; tokenHash: string; seconds: number }) => {
  const { userId, tokenHash, seconds } = session
  const [row] = await tx
    .insert(sessions)
    .values({ userId, tokenHash, expiresAt: sql`now() + make_interval(secs => ${seconds})` })
    .returning()
  return row
}

export const deleteSession = async (tx: Tx, id: string): Promise<void> => {
  await tx.delete(sessions).where(eq(sessions.id, id))
}

export const deleteEndedSessions = async (tx: Tx, userId: string): Promise<void> => {
  await tx.delete(sessions).where(and(eq(sessions.userId, userId), sql`${sessions.expiresAt} <= now()`))
}

export const insertGrant = async (tx: Tx, grant: { subscriptionId: string; userId: string; role: GrantRole }): Promise<void> => {
  await tx.insert(grants).values(grant)
}
