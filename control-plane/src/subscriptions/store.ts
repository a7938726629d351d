import type { Status } from '@berth/shared/api/common'
import type { GrantRole } from '@berth/shared/api/users'
import { eq, sql } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { subscriptions } from './schema.ts'

export type SubscriptionRow = {
  readonly id: string
  readonly name: string
  readonly status: Status
  readonly primaryContactId: string
  readonly createdAt: Date
}
// Functions of the database answer times as text.
type FunctionRow = Record<'id' | 'name' | 'primary_contact_id' | 'created_at', string> & { status: Status }

/** The subscriptions in which this person has a role; asked before one is chosen. */
export const listOwnSubscriptions = async (tx: Tx, userId: string): Promise<(SubscriptionRow & { role: GrantRole })[]> => {
  const { rows } = await tx.execute<FunctionRow & { role: GrantRole }>(sql`select * from user_subscriptions(${userId})`)
  return rows.map((row) => ({ ...fromFunction(row), role: row.role }))
}

/** Every subscription's name, for operators. */
export const listAllSubscriptions = async (tx: Tx): Promise<SubscriptionRow[]> => {
  const { rows } = await tx.execute<FunctionRow>(sql`select * from platform_subscriptions()`)
  return rows.map(fromFunction)
}

export const findSubscription = async (tx: Tx, id: string): Promise<SubscriptionRow | undefined> => {
  const [row] = await tx.select().from(subscriptions).where(eq(subscriptions.id, id))
  return row
}

export const insertSubscription = async (tx: Tx, row: { id: string; name: string; primaryContactId: string }) => {
  const [inserted] = await tx.insert(subscriptions).values(row).returning()
  return inserted
}

const fromFunction = (row: FunctionRow): SubscriptionRow => ({
  id: row.id,
  name: row.name,
  status: row.status,
  primaryContactId: row.primary_contact_id,
  createdAt: new Date(row.created_at)
})
