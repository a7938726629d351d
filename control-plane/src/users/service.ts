import { randomBytes, randomUUID } from 'node:crypto'
import type { Me, SignInAnswer, SignInRequest } from '@berth/shared/api/users'
import type { ApiConfig } from '../config.ts'
import { type Caller, change } from '../platform/change.ts'
import { type Db, inTransaction, one } from '../platform/database.ts'
import { refusal } from '../platform/errors.ts'
import type { FindPerson, Person } from '../platform/gate.ts'
import type { PasswordHashing } from '../platform/passwords.ts'
import { formatToken, isSecretOf, newSecret, parseToken } from '../platform/tokens.ts'
import { makeSubscription } from '../subscriptions/service.ts'
import { listOwnSubscriptions } from '../subscriptions/store.ts'
import * as store from './store.ts'

type Deps = { readonly db: Db; readonly passwords: PasswordHashing; readonly config: Pick<ApiConfig, 'sessionSeconds'> }

export const userService = ({ db, passwords, config }: Deps) => ({
  /** Whoever knows the password gets a token. An unknown name takes as long as a wrong password and is answered alike. */
  signIn: async (caller: Caller, { email, password }: SignInRequest): Promise<SignInAnswer> => {
    const user = await inTransaction(db, (tx) => store.findUserByEmail(tx, email))
    if (!(await passwords.verify(password, user?.passwordHash)) || !user)
      throw refusal('bad_credentials', 'no user has this e-mail address and this password')

    const { secret, hash } = newSecret()
    return change(db, { ...caller, actor: { kind: 'user', id: user.id } }, undefined, async (tx) => {
      await store.deleteEndedSessions(tx, user.id)
      const session = one(await store.insertSession(tx, { userId: user.id, tokenHash: hash, seconds: config.sessionSeconds }))
      return {
        object: `session/${session.id}`,
        answer: {
          token: formatToken(session.id, secret),
          expiresAt: session.expiresAt.toISOString(),
          user: { id: user.id, email: user.email }
        }
      }
    })
  },

  /** Ends the session that asks for it. */
  signOut: (caller: Caller, { session }: Person): Promise<void> =>
    change(db, caller, undefined, async (tx) => {
      await store.deleteSession(tx, session)
      return { object: `session/${session}`, answer: undefined }
    }),

  /** Who is signed in, and where they may go. */
  me: async ({ id, email, name, operator }: Person): Promise<Me> => {
    const subscriptions = await inTransaction(db, (tx) => listOwnSubscriptions(tx, id))
    return {
      user: { id, email, name, operator },
      subscriptions: subscriptions.map((row) => ({ id: row.id, name: row.name, role: row.role }))
    }
  }
})
export type UserService = ReturnType<typeof userService>

/** What the gate asks on every request. */
export const personFinder =
  ({ db }: { readonly db: Db }): FindPerson =>
  async (token, subscription) => {
    const parts = parseToken(token)
    if (!parts) return undefined
    return inTransaction(db, async (tx) => {
      const found = await store.findSession(tx, parts.id)
      if (!found || !isSecretOf(parts.secret, found.session.tokenHash)) return undefined
      const { id, email, name, operator } = found.user
      const own = subscription === undefined ? [] : await listOwnSubscriptions(tx, id)
      return {
        person: { id, email, name, operator, session: found.session.id },
        roles: own.filter((row) => row.id === subscription).map(({ role }) => role)
      }
    })
  }

export type FirstUser = { readonly email: string; readonly name: string }

/**
 * The first start of a platform: an operator and an owner with random passwords, which are told here only, and the owner's
 * subscription with the account `main`. Answers nothing when there are users already. `db` is the owner of the tables: no service may
 * make a person.
 */
export const makeFirstUsers = async (
  { db, passwords }: Pick<Deps, 'db' | 'passwords'>,
  { operator, owner, subscription }: { operator: FirstUser; owner: FirstUser; subscription: string }
) => {
  if (await inTransaction(db, store.hasUsers)) return undefined
  const [operatorPassword, ownerPassword] = [newPassword(), newPassword()]
  const operatorHash = await passwords.hash(operatorPassword)
  const ownerHash = await passwords.hash(ownerPassword)
  const caller: Caller = { actor: { kind: 'service', id: 'service:first-start' }, action: 'platform.first-start' }
  const subscriptionId = randomUUID()
  return change(db, caller, subscriptionId, async (tx) => {
    const operatorRow = await store.insertUser(tx, { ...operator, passwordHash: operatorHash, operator: true })
    const ownerRow = await store.insertUser(tx, { ...owner, passwordHash: ownerHash })
    if (!operatorRow || !ownerRow) throw refusal('name_taken', 'the operator and the owner need two e-mail addresses')
    await makeSubscription(tx, { id: subscriptionId, name: subscription, ownerId: ownerRow.id })
    return {
      object: `subscription/${subscriptionId}`,
      answer: {
        operator: { id: operatorRow.id, email: operatorRow.email, password: operatorPassword },
        owner: { id: ownerRow.id, email: ownerRow.email, password: ownerPassword },
        subscription: { id: subscriptionId, name: subscription }
      }
    }
  })
}

/** 120 random bits that a person can still copy by hand. */
const newPassword = (): string => randomBytes(15).toString('base64url')
