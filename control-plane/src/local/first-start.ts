import { randomBytes } from 'node:crypto'
import type { Signer } from '@berth/shared/dsse'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import type { Objects } from '@berth/shared/objects/objects'
import { jsonParser } from '@berth/shared/parse'
import { ne } from 'drizzle-orm'
import { type Static, Type } from 'typebox'
import { insertBuild } from '../builds/store.ts'
import { fleets } from '../fleets/schema.ts'
import { recordAudit } from '../platform/audit.ts'
import { type Db, hint, inTransaction } from '../platform/database.ts'
import { passwordHashing } from '../platform/passwords.ts'
import { makeFirstUsers } from '../users/service.ts'
import { makeFirstBuilds } from './builds.ts'

const Person = Type.Object({ id: Type.String(), email: Type.String() }, { additionalProperties: false })

/** What the first start of this home made, so that later ones know; each part is noted once it is there. */
const State = Type.Object(
  {
    fleet: Type.Optional(Type.String()),
    builds: Type.Optional(Type.Literal(true)),
    owner: Type.Optional(Person),
    subscription: Type.Optional(Type.String()),
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
const made = { actor: { kind: 'service', id: 'service:first-start' }, outcome: 'done' } as const

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
  if (state.get().builds) return
  const builds = await makeFirstBuilds(folder, objects, vendor)
  await inTransaction(db, async (tx) => {
    for (const build of builds)
      if (await insertBuild(tx, build))
        await recordAudit(tx, { ...made, action: 'builds.create', object: `build/${build.name} ${build.version}` })
  })
  await state.note({ builds: true })
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
    await recordAudit(tx, { ...made, action: 'fleets.declare', object: `fleet/${id}`, detail: { servers } })
    await hint(tx, 'provisioner')
  })
}

/** Passwords that the first start made: printed once, kept nowhere. */
export type FirstPasswords = { readonly owner: string; readonly operator: string }
export const ownerEmail = 'owner@berth.localhost'
export const operatorEmail = 'operator@berth.localhost'

/** Makes the operator and the owner with their subscription, once; answers their passwords when it did. */
export const welcomeUsers = async ({ state, db }: { state: StateFile; db: Db }): Promise<FirstPasswords | undefined> => {
  const made = await makeFirstUsers(
    { db, passwords: passwordHashing() },
    {
      operator: { email: operatorEmail, name: 'Operator' },
      owner: { email: ownerEmail, name: 'Owner' },
      subscription: 'Default'
    }
  )
  if (!made) return undefined
  const { owner, operator, subscription } = made
  await state.note({ owner: { id: owner.id, email: owner.email }, subscription: subscription.id })
  return { owner: owner.password, operator: operator.password }
}
