import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Clock } from '@berth/shared/clock'
import { Refusal } from '@berth/shared/refusal'
import { sql } from 'drizzle-orm'
import { DrizzleQueryError } from 'drizzle-orm/errors'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import { migrate as runMigrations } from 'drizzle-orm/node-postgres/migrator'
import type { PgTransactionConfig } from 'drizzle-orm/pg-core'
import pg from 'pg'
import { type ServiceRole, serviceRoles } from './roles.ts'

export type Db = NodePgDatabase & { readonly $client: pg.Pool }
export type Tx = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0]

const migrationsFolder = fileURLToPath(new URL('../../migrations', import.meta.url))

/**
 * Brings the database to the newest schema, as its owner; services own nothing. Makes the services' roles where they are
 * missing and, on a laptop, gives them `passwords`. Two at once wait for each other.
 */
export const migrate = async (
  ownerUrl: string,
  { passwords = {} }: { readonly passwords?: Partial<Record<ServiceRole, string>> } = {}
): Promise<void> => {
  const client = new pg.Client({ connectionString: ownerUrl })
  client.on('error', () => undefined) // a lost connection also fails the query that is under way
  await client.connect()
  try {
    await client.query(`select pg_advisory_lock(hashtext('berth migrations'))`)
    for (const role of serviceRoles) await putRole(client, role, passwords[role])
    await runMigrations(drizzle(client), { migrationsFolder })
  } finally {
    await client.end()
  }
}

/** Roles belong to the whole server: another database's migration may make the same one at the same moment. */
const putRole = async (client: pg.Client, role: ServiceRole, password: string | undefined): Promise<void> => {
  await client.query(
    `do $$ begin
       if not exists (select from pg_roles where rolname = '${role}') then create role ${role} nologin; end if;
     exception when duplicate_object or unique_violation then null; end $$`
  )
  if (password !== undefined) await client.query(`alter role ${role} login password '${scramVerifier(password)}'`)
}

/** What PostgreSQL keeps of a password (RFC 5803), so that the password itself is in no statement and no log. */
const scramVerifier = (password: string): string => {
  const iterations = 4096
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}

/**
 * Connections of one service. A killed PostgreSQL fails what was under way, never the process; the next use connects anew. So does
 * a statement that takes longer than `statementMs`, a transaction that is left idle, and a connection that has gone silent: else
 * one lock, or one lost network, would hold every connection for ever.
 */
export const connect = (
  url: string,
  {
    connectionsMax = 10,
    statementMs = 30_000,
    onLost
  }: { readonly connectionsMax?: number; readonly statementMs?: number; readonly onLost?: (error: Error) => void } = {}
): Db => {
  const pool = new pg.Pool({
    connectionString: url,
    max: connectionsMax,
    connectionTimeoutMillis: 5000,
    keepAlive: true,
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: 2 * statementMs,
    // PostgreSQL would have answered by then. (The driver's `query_timeout` gives the connection back with the query still on it.)
    stream: () => endingInSilence(3 * statementMs)
  })
  // Both are needed: the pool speaks for idle connections, a connection for itself while it is in use.
  pool.on('error', (error) => onLost?.(error))
  pool.on('connect', (client) => client.on('error', () => undefined))
  return drizzle(pool)
}

const endingInSilence = (silenceMs: number): Socket => {
  const socket = new Socket()
  return socket.setTimeout(silenceMs, () => socket.destroy(new Error(`PostgreSQL has said nothing for ${silenceMs} ms`)))
}

/** Ends the connections, once nothing uses them. */
export const disconnect = (db: Db): Promise<void> => db.$client.end()

/** Runs `work` in one transaction. A database that is not there is the refusal `unavailable`. */
export const inTransaction = async <T>(db: Db, work: (tx: Tx) => Promise<T>, config?: PgTransactionConfig): Promise<T> => {
  let begun = false
  try {
    return await db.transaction((tx) => {
      begun = true
      return work(tx)
    }, config)
  } catch (error) {
    if (error instanceof Refusal || (begun && !isConnectionLoss(error))) throw error
    throw new Refusal(
      'unavailable',
      'the database does not answer; try again, with the same Idempotency-Key where there is one',
      {
        cause: error
      }
    )
  }
}

/**
 * Runs `work` in one transaction that sees only this subscription's rows.
 * `set_config(…, true)` ends with the transaction, so a pooled connection never leaks a subscription.
 */
export const inSubscription = <T>(db: Db, subscriptionId: string, work: (tx: Tx) => Promise<T>): Promise<T> =>
  inTransaction(db, async (tx) => {
    await tx.execute(sql`select set_config('app.subscription_id', ${subscriptionId}, true)`)
    return work(tx)
  })

/** The row that an insert or a look-up must have answered. */
export const one = <Row>(row: Row | undefined): Row => {
  if (row === undefined) throw new Error('the database answered no row where there must be one')
  return row
}

/** What a unique constraint refused: the name of the constraint, nothing for another failure. */
export const violatedUnique = (error: unknown): string | undefined => {
  const cause = error instanceof DrizzleQueryError ? error.cause : error
  return cause instanceof pg.DatabaseError && cause.code === '23505' ? cause.constraint : undefined
}

/** Tells another service to look, when this transaction commits. Losing the hint costs it one poll. */
export const hint = async (tx: Tx, service: 'sealer' | 'writer' | 'provisioner'): Promise<void> => {
  await tx.execute(sql`select pg_notify(${`berth_${service}`}, '')`)
}

/**
 * Calls `onHint` whenever somebody notifies `channel`, and after each (re)connection, since hints may have been lost meanwhile.
 * Answers when `signal` is aborted; a database that is away is asked again each second.
 */
export const listen = async (
  url: string,
  channel: string,
  onHint: () => void,
  signal: AbortSignal,
  clock: Clock
): Promise<void> => {
  while (!signal.aborted) {
    const client = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: 5000 })
    await new Promise<void>((lost) => {
      client.on('error', () => lost())
      client.on('end', () => lost())
      client.on('notification', () => onHint())
      signal.addEventListener('abort', () => lost(), { once: true })
      client
        .connect()
        .then(() => client.query(`listen ${client.escapeIdentifier(channel)}`))
        .then(
          () => onHint(),
          () => lost()
        )
    })
    await client.end().catch(() => undefined)
    await clock.wait(1000, signal)
  }
}

/** Classes of SQLSTATE that say "the server went away, is not up, or took too long", not "the statement was wrong". */
const unavailableStates = /^(08|57P0[123]|57014|25P03|53300)/

const isConnectionLoss = (error: unknown): boolean => {
  const cause = error instanceof DrizzleQueryError ? error.cause : error
  if (cause instanceof pg.DatabaseError) return unavailableStates.test(cause.code ?? '')
  // The driver itself failed a query: PostgreSQL never answered it.
  return error instanceof DrizzleQueryError
}
