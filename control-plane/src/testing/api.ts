import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { type Clock, systemClock } from '@berth/shared/clock'
import { createLocalKey, localKeys } from '@berth/shared/keys/local'
import { createFolderStore, folderObjects } from '@berth/shared/objects/folder'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { makeApi } from '../app.ts'
import { readConfig } from '../config.ts'
import { connect, type Db, disconnect, inSubscription, inTransaction, one } from '../platform/database.ts'
import type { LogEntry } from '../platform/service-loop.ts'
import { formatToken, newSecret } from '../platform/tokens.ts'
import { makeSubscription } from '../subscriptions/service.ts'
import { insertSession, insertUser } from '../users/store.ts'
import { type TestDatabase, testDatabase } from './postgres.ts'

/** The body is whatever JSON.parse says, untyped: tests look into answers of every shape. */
export type Answer = {
  readonly status: number
  readonly body: ReturnType<typeof JSON.parse>
  readonly response: LightMyRequestResponse
}

/** Sends as one person (or as nobody); a body makes it JSON. */
export type Send = (
  method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  headers?: Record<string, string>
) => Promise<Answer>

export type TestTenant = {
  readonly token: string
  readonly user: string
  readonly subscription: string
  readonly send: Send
  readonly below: string
}

export type TestApi = {
  readonly app: FastifyInstance
  readonly database: TestDatabase
  /** As the role `berth_api`. */
  readonly db: Db
  /** As the owner of the tables: sees and may do everything. */
  readonly owner: Db
  readonly objects: Awaited<ReturnType<typeof folderObjects>>
  readonly log: LogEntry[]
  readonly stranger: Send
  readonly operator: Send
  readonly ours: TestTenant
  readonly theirs: TestTenant
}

/** The whole API on a database, a store and keys of its own, with an operator and two tenants who are signed in. */
export const testApi = async ({
  clock = systemClock,
  env = {}
}: {
  clock?: Clock
  env?: Record<string, string>
} = {}): Promise<TestApi> => {
  const database = await testDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'berth-api-'))
  const objects = await makeObjects(join(folder, 'objects'), clock)
  await createLocalKey({ folder: join(folder, 'keys'), name: 'uploads', purpose: 'wrap' })
  const db = connect(database.urlOf('berth_api'))
  const owner = connect(database.ownerUrl)
  const log: LogEntry[] = []
  const app = await makeApi({
    db,
    keys: await localKeys({ folder: join(folder, 'keys') }),
    objects,
    clock,
    config: readConfig(env),
    log: (entry) => log.push(entry)
  })
  after(async () => {
    await app.close()
    await disconnect(db)
    await disconnect(owner)
    await rm(folder, { recursive: true, force: true })
  })
  return {
    app,
    database,
    db,
    owner,
    objects,
    log,
    stranger: sender(app),
    operator: sender(app, await signedIn(owner, { email: 'operator@example.com', operator: true })),
    ours: await tenant(app, owner, 'ours'),
    theirs: await tenant(app, owner, 'theirs')
  }
}

const makeObjects = async (root: string, clock: Clock) => {
  await createFolderStore(root)
  return folderObjects({ root, presign: { origin: () => 'http://127.0.0.1:1', secret: Buffer.alloc(32, 7), clock } })
}

const tenant = async (app: FastifyInstance, owner: Db, name: string): Promise<TestTenant> => {
  const token = await signedIn(owner, { email: `${name}@example.com` })
  const send = sender(app, token)
  const user = (await send('GET', '/v1/me')).body.user.id
  const subscription = crypto.randomUUID()
  await inSubscription(owner, subscription, (tx) => makeSubscription(tx, { id: subscription, name, ownerId: user }))
  return { token, user, subscription, send, below: `/v1/subscriptions/${subscription}` }
}

/** A person with a session; nobody needs their password. */
const signedIn = (owner: Db, { email, operator = false }: { email: string; operator?: boolean }): Promise<string> =>
  inTransaction(owner, async (tx) => {
    const user = one(await insertUser(tx, { email, name: email, passwordHash: '-', operator }))
    const { secret, hash } = newSecret()
    const session = one(await insertSession(tx, { userId: user.id, tokenHash: hash, seconds: 3600 }))
    return formatToken(session.id, secret)
  })

const sender =
  (app: FastifyInstance, token?: string): Send =>
  async (method, url, body, headers = {}) => {
    const response = await app.inject({
      method,
      url,
      headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers },
      ...(body === undefined ? {} : { payload: body as object }) // JSON of any shape is what the API must judge
    })
    const isJson = String(response.headers['content-type']).startsWith('application/json') && response.body !== ''
    return { status: response.statusCode, body: isJson ? response.json() : undefined, response }
  }
