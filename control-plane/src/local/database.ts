import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '@berth/shared/clock'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { isAlive } from '@berth/shared/processes'
import pg from 'pg'
import { migrate } from '../platform/database.ts'
import { databaseUrl, type PostgresServer, startEmbeddedPostgres } from '../platform/embedded-postgres.ts'
import { type ServiceRole, serviceRoles } from '../platform/roles.ts'

const database = 'berth'
const lookMs = 500

export type LocalDatabase = {
  readonly url: (role: ServiceRole) => string
  /** As the owner of every table: for what a first start makes, and nothing else. */
  readonly ownerUrl: () => string
  /** Starts PostgreSQL again, on the same port, whenever it died; answers when `signal` is aborted. */
  readonly keep: (signal: AbortSignal) => Promise<void>
}

/** The laptop's PostgreSQL, with the newest schema and a password for each service's role. */
export const startDatabase = async (
  folders: { readonly postgres: string; readonly keys: string },
  clock: Clock
): Promise<LocalDatabase> => {
  const options = { folder: folders.postgres, clock }
  let server = await startEmbeddedPostgres({ ...options, port: 0 })
  const passwords = await putPasswords(join(folders.keys, 'database-roles.json'))
  await putDatabase(server)
  await migrate(databaseUrl(server, database), { passwords })
  return {
    ownerUrl: () => databaseUrl(server, database),
    url: (role) => databaseUrl(server, database, { user: role, password: passwords[role] }),
    keep: async (signal) => {
      while (!signal.aborted) {
        // A start that fails is tried again: whatever was in its way (a child of the killed one, say) goes away.
        if (!(await isAlive(server.process)))
          server = await startEmbeddedPostgres({ ...options, port: server.port }).catch(() => server)
        await clock.wait(lookMs, signal)
      }
    }
  }
}

const putDatabase = async (server: PostgresServer): Promise<void> => {
  const client = new pg.Client({ connectionString: databaseUrl(server, 'postgres') })
  await client.connect()
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database])
    if (rowCount === 0) await client.query(`create database ${database}`)
  } finally {
    await client.end()
  }
}

const putPasswords = async (file: string): Promise<Record<ServiceRole, string>> => {
  const known: Partial<Record<ServiceRole, string>> = JSON.parse((await readTextIfThere(file)) ?? '{}')
  const password = (role: ServiceRole) => known[role] ?? randomBytes(24).toString('base64url')
  const passwords = Object.fromEntries(serviceRoles.map((role) => [role, password(role)])) as Record<ServiceRole, string> // one for each of the roles
  if (serviceRoles.some((role) => known[role] === undefined)) await writeFileAtomic(file, JSON.stringify(passwords))
  return passwords
}
