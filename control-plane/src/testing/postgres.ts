import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import pg from 'pg'
import { migrate } from '../platform/database.ts'
import { databaseUrl, type PostgresServer, startEmbeddedPostgres, stopEmbeddedPostgres } from '../platform/embedded-postgres.ts'
import { type ServiceRole, serviceRoles } from '../platform/roles.ts'

export type TestDatabase = {
  readonly ownerUrl: string
  readonly urlOf: (role: ServiceRole) => string
  /** The server itself, for tests that take it away. */
  readonly server: PostgresServer
  readonly folder: string
}

let started: Promise<{ server: PostgresServer; folder: string }> | undefined

/**
 * A migrated database of its own on a real PostgreSQL, which this test process starts once and stops when its tests are over.
 * Call it at the top of a test file: `const database = await testDatabase()`.
 */
export const testDatabase = async (options: { readonly migrated?: boolean } = {}): Promise<TestDatabase> => {
  started ??= startServer()
  const { server, folder } = await started
  const name = `berth_${randomBytes(6).toString('hex')}`
  await runAsOwner(server, `create database ${name}`)
  const ownerUrl = databaseUrl(server, name)
  // Roles are the server's: one password, so that a second database does not lock the first one's services out.
  if (options.migrated !== false) {
    await migrate(ownerUrl, { passwords: Object.fromEntries(serviceRoles.map((role) => [role, server.password])) })
  }
  return { ownerUrl, urlOf: (role) => databaseUrl(server, name, { user: role, password: server.password }), server, folder }
}

const startServer = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-postgres-'))
  await chmod(folder, 0o711)
  const stop = async () => {
    await stopEmbeddedPostgres({ folder, clock: systemClock })
    await rm(folder, { recursive: true, force: true })
  }
  after(stop)
  try {
    const server = await startEmbeddedPostgres({ folder, port: 0, clock: systemClock, durable: false })
    endWithUs(server.process.pid, folder)
    return { server, folder }
  } catch (error) {
    await stop()
    throw error
  }
}

/** For a test process that ends without its hooks: by a signal, or by an error at the top of a file. */
const endWithUs = (pid: number, folder: string): void => {
  let over = false
  after(() => {
    over = true
  })
  process.once('exit', () => {
    if (over) return
    try {
      process.kill(pid, 'SIGQUIT')
    } catch {
      // it is gone already
    }
    rmSync(folder, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
}

const runAsOwner = async (server: PostgresServer, statement: string): Promise<void> => {
  const client = new pg.Client({ connectionString: databaseUrl(server, 'postgres') })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
