import { randomBytes } from 'node:crypto'
import type { Signer } from '@berth/shared/dsse'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import type { Objects } from '@berth/shared/objects/objects'
import { jsonParser } from '@berth/shared/parse'
import { eq, ne } from 'drizzle-orm'
import { type Static, Type } from 'typebox'
import { insertBuild } from '../builds/store.ts'
import { fleets } from '../fleets/schema.ts'
import { recordAudit } from '../platform/audit.ts'
import { type Db, hint, inTransaction } from '../platform/database.ts'
import { type PasswordHashing, passwordHashing } from '../platform/passwords.ts'
import { listOwnSubscriptions } from '../subscriptions/store.ts'
import { users } from '../users/schema.ts'
import { makeFirstUsers } from '../users/service.ts'
import { findUserByEmail } from '../users/store.ts'
import { makeBuilds } from './builds.ts'

const Person = Type.Object({ id: Type.String(), email: Type.String() }, { additionalProperties: false })

/** What the first start of this home made, so that later ones know; each part is noted once it is there. */
const State = Type.Object(
  {
    fleet: Type.Optional(Type.String()),
    /** The Node that was offered last as the build `node`. */
    node: Type.Optional(Type.String()),
    owner: Type.Optional(Person),
    subscription: Type.Optional(Type.String()),
    passwordsShown: Type.Optional(Type.Literal(true)),
    samples: Type.Optional(Type.Literal(true))
  },
  { additionalProperties: false }
)
export type State = Static<typeof State>
const parseState = jsonParser(State, 'the state of this home', 'bad_state')

export const openState = async (file: string) => {
  const text = await readTextIfThere(file)
  let state: State = text === undefined ? {} : parseState(text)
  return {
    get: (): State => state,
    note: async (news: Partial<State>): Promise<void> => {
      state = { ...state, ...news }
      await writeFileAtomic(file, `${JSON.stringify(state, null, 2)}\n`)
    }
  }
}
export type StateFile = Awaited<ReturnType<typeof openState>>

/** Nobody signed in does this: it is the laptop's operator, by `npm start`. */
export const byFirstStart = { actor: { kind: 'service', id: 'service:first-start' }, outcome: 'done' } as const

/** Packs, signs and offers the builds that come with Berth, once; a newer Node on this machine is a new build. */
export const offerBuilds = async ({
  state,
  db,
  folder,
  objects,
  vendor
}: {
  state: StateFile
  db: Db
  folder: string
  objects: Objects
  vendor: Signer
}): Promise<void> => {
  const known = state.get().node
  if (known === process.versions.node) return
  const builds = await makeBuilds({ folder, objects, vendor, isFirst: known === undefined })
  await inTransaction(db, async (tx) => {
    for (const build of builds)
      if (await insertBuild(tx, build))
        await recordAudit(tx, { ...byFirstStart, action: 'builds.create', object: `build/${build.name} ${build.version}` })
  })
  await state.note({ node: process.versions.node })
}

/** The public fleet of this machine, of as many servers as the setting says; a changed setting is declared anew. */
export const declareFleet = async ({
  state,
  db,
  servers,
  region
}: {
  state: StateFile
  db: Db
  servers: number
  region: string
}): Promise<void> => {
  const id = state.get().fleet ?? `f-${randomBytes(4).toString('hex')}`
  await state.note({ fleet: id })
  await inTransaction(db, async (tx) => {
    const changed = await tx
      .insert(fleets)
      .values({ id, tenancy: 'public', region, cell: 'local', servers })
      .onConflictDoUpdate({ target: fleets.id, set: { servers }, setWhere: ne(fleets.servers, servers) })
      .returning({ id: fleets.id })
    if (changed.length === 0) return
    await recordAudit(tx, { ...byFirstStart, action: 'fleets.declare', object: `fleet/${id}`, detail: { servers } })
    await hint(tx, 'provisioner')
  })
}

/** Passwords that the first start made: printed once, kept nowhere. */
export type FirstPasswords = { readonly owner: string; readonly operator: string }
export const ownerEmail = 'owner@berth.localhost'
export const operatorEmail = 'operator@berth.localhost'

/**
 * Makes the operator and the owner with their subscription, once, and answers their passwords. Passwords that a start which was cut
 * short never showed are lost; the next start makes new ones. `db` is the database's owner: nobody else may give rights.
 */
export const welcomeUsers = async ({ state, db }: { state: StateFile; db: Db }): Promise<FirstPasswords | undefined> => {
  const passwords = passwordHashing()
  const made = await makeFirstUsers(
    { db, passwords },
    {
      operator: { email: operatorEmail, name: 'Operator' },
      owner: { email: ownerEmail, name: 'Owner' },
      subscription: 'Default'
    }
  )
  await state.note(await findOwner(db))
  if (made) return { owner: made.owner.password, operator: made.operator.password }
  if (state.get().passwordsShown) return undefined
  return { owner: await renewPassword(db, passwords, ownerEmail), operator: await renewPassword(db, passwords, operatorEmail) }
}

const findOwner = (db: Db): Promise<Pick<State, 'owner' | 'subscription'>> =>
  inTransaction(db, async (tx) => {
    const user = await findUserByEmail(tx, ownerEmail)
    const [subscription] = user ? await listOwnSubscriptions(tx, user.id) : []
    if (!user || !subscription) throw new Error('the first users are made before anybody asks for them')
    return { owner: { id: user.id, email: user.email }, subscription: subscription.id }
  })

const renewPassword = async (db: Db, passwords: PasswordHashing, email: string): Promise<string> => {
  const password = randomBytes(15).toString('base64url')
  const passwordHash = await passwords.hash(password)
  await inTransaction(db, async (tx) => {
    await tx.update(users).set({ passwordHash }).where(eq(users.email, email))
    await recordAudit(tx, { ...byFirstStart, action: 'users.renew-password', object: `user/${email}` })
  })
  return password
}
