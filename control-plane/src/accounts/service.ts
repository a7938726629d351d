import type { Account, AccountList, AccountRequest } from '@berth/shared/api/accounts'
import { type Caller, change } from '../platform/change.ts'
import { type Db, inSubscription } from '../platform/database.ts'
import { notFound, refusal } from '../platform/errors.ts'
import * as store from './store.ts'

export const accountService = ({ db }: { readonly db: Db }) => ({
  list: (subscription: string): Promise<AccountList> =>
    inSubscription(db, subscription, async (tx) => ({ items: (await store.listAccounts(tx)).map(present) })),

  get: (subscription: string, id: string): Promise<Account> =>
    inSubscription(db, subscription, async (tx) => {
      const row = await store.findAccount(tx, id)
      if (!row) throw notFound()
      return present(row)
    }),

  create: (caller: Caller, subscription: string, { name }: AccountRequest): Promise<Account> =>
    change(db, caller, subscription, async (tx) => {
      const row = await store.insertAccount(tx, { subscriptionId: subscription, name })
      if (!row) throw refusal('name_taken', 'the subscription has an account of this name', { field: '/name' })
      return { object: `account/${row.id}`, detail: { name }, answer: present(row) }
    })
})
export type AccountService = ReturnType<typeof accountService>

const present = ({ id, name, status, createdAt }: store.AccountRow): Account => ({
  id,
  name,
  status,
  createdAt: createdAt.toISOString()
})
