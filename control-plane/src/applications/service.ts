import type { Application, ApplicationList, ApplicationRequest } from '@berth/shared/api/applications'
import { findAccount, findFirstAccount } from '../accounts/store.ts'
import { type Caller, change } from '../platform/change.ts'
import { type Db, inSubscription } from '../platform/database.ts'
import { notFound, refusal } from '../platform/errors.ts'
import * as store from './store.ts'

export const applicationService = ({ db }: { readonly db: Db }) => ({
  list: (subscription: string): Promise<ApplicationList> =>
    inSubscription(db, subscription, async (tx) => ({ items: (await store.listApplications(tx)).map(present) })),

  get: (subscription: string, id: string): Promise<Application> =>
    inSubscription(db, subscription, async (tx) => {
      const row = await store.findApplication(tx, id)
      if (!row) throw notFound()
      return present(row)
    }),

  create: (caller: Caller, subscription: string, { account, name }: ApplicationRequest): Promise<Application> =>
    change(db, caller, subscription, async (tx) => {
      const into = account === undefined ? await findFirstAccount(tx) : await findAccount(tx, account)
      if (!into) throw notFound('/account')
      if (into.status === 'disabled') throw refusal('disabled', `the account ${into.name} is disabled`, { field: '/account' })

      const row = await store.insertApplication(tx, { subscriptionId: subscription, accountId: into.id, name })
      if (!row) throw refusal('name_taken', 'the account has an application of this name', { field: '/name' })
      return { object: `application/${row.id}`, detail: { name, account: into.id }, answer: present(row) }
    })
})
export type ApplicationService = ReturnType<typeof applicationService>

const present = ({ id, accountId, name, status, lastVersion, createdAt }: store.ApplicationRow): Application => ({
  id,
  account: accountId,
  name,
  status,
  lastVersion,
  createdAt: createdAt.toISOString()
})
