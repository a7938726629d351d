import { randomUUID } from 'node:crypto'
import type { Subscription, SubscriptionList, SubscriptionRequest } from '@berth/shared/api/subscriptions'
import { insertAccount } from '../accounts/store.ts'
import { type Caller, change } from '../platform/change.ts'
import { type Db, hint, inSubscription, inTransaction, one, type Tx } from '../platform/database.ts'
import { notFound, refusal } from '../platform/errors.ts'
import type { Person } from '../platform/gate.ts'
import { findUserByEmail, insertGrant } from '../users/store.ts'
import * as store from './store.ts'

export const subscriptionService = ({ db }: { readonly db: Db }) => ({
  /** One's own; for operators all. */
  list: async ({ id, operator }: Person): Promise<SubscriptionList> => {
    const rows = await inTransaction(db, (tx) => (operator ? store.listAllSubscriptions(tx) : store.listOwnSubscriptions(tx, id)))
    return { items: rows.map(present) }
  },

  get: (id: string): Promise<Subscription> =>
    inSubscription(db, id, async (tx) => {
      const row = await store.findSubscription(tx, id)
      if (!row) throw notFound()
      return present(row)
    }),

  /** Makes a subscription for a user who exists, with the account `main`. The sealer makes its keys. */
  create: (caller: Caller, { name, ownerEmail }: SubscriptionRequest): Promise<Subscription> => {
    const id = randomUUID()
    return change(db, caller, id, async (tx) => {
      const owner = await findUserByEmail(tx, ownerEmail)
      if (!owner) throw refusal('invalid', 'no user has this e-mail address', { field: '/ownerEmail' })
      const row = await makeSubscription(tx, { id, name, ownerId: owner.id })
      return { object: `subscription/${id}`, detail: { name, owner: owner.id }, byOperators: true, answer: present(row) }
    })
  }
})
export type SubscriptionService = ReturnType<typeof subscriptionService>

/** A subscription, its owner's grant and its first account, in a transaction that sees this subscription. */
export const makeSubscription = async (
  tx: Tx,
  { id, name, ownerId }: { readonly id: string; readonly name: string; readonly ownerId: string }
): Promise<store.SubscriptionRow> => {
  const row = one(await store.insertSubscription(tx, { id, name, primaryContactId: ownerId }))
  await insertGrant(tx, { subscriptionId: id, userId: ownerId, role: 'owner' })
  await insertAccount(tx, { subscriptionId: id, name: 'main' })
  await hint(tx, 'sealer')
  return row
}

const present = ({ id, name, status, primaryContactId, createdAt }: store.SubscriptionRow): Subscription => ({
  id,
  name,
  status,
  primaryContact: primaryContactId,
  createdAt: createdAt.toISOString()
})
