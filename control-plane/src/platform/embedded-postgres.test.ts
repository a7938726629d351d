import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { isAlive } from '@berth/shared/processes'
import { eventually } from '@berth/shared/testing/eventually'
import pg from 'pg'
import { databaseUrl, type PostgresServer, startEmbeddedPostgres, stopEmbeddedPostgres } from './embedded-postgres.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-embedded-'))
await chmod(folder, 0o711)
const options = { folder: join(folder, 'postgres'), port: 0, clock: systemClock }
after(async () => {
  await stopEmbeddedPostgres(options)
  await rm(folder, { recursive: true, force: true })
})

const query = async (server: PostgresServer, text: string) => {
  const client = new pg.Client({ connectionString: databaseUrl(server, 'postgres') })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

it('starts on the loopback alone, with a password that only we can read, as nobody’s root', async () => {
  const server = await startEmbeddedPostgres(options)

  await query(server, 'create table kept (n int)')
  const { mode } = await stat(join(options.folder, 'password'))
  assert.equal(mode & 0o077, 0)
  const [row] = await query(
    server,
    `select current_setting('listen_addresses') as on, current_setting('fsync') as sync,
    current_setting('unix_socket_directories') as sockets, (select string_agg(distinct auth_method, ' ') from pg_hba_file_rules) as auth`
  )
  assert.deepEqual(row, { on: '127.0.0.1', sync: 'on', sockets: '', auth: 'scram-sha-256' })
  assert.ok(!(await readFile(join(options.folder, 'postgres.log'), 'utf8')).includes(server.password))
  await assert.rejects(query({ ...server, password: 'another' }, 'select 1'), { code: '28P01' })
})

it('adopts the one that runs instead of starting another', async () => {
  const [one, two] = [await startEmbeddedPostgres(options), await startEmbeddedPostgres({ ...options, port: 1 })]

  assert.deepEqual(two, one)
})

it('loses nothing that was committed when it is killed, and starts again at once', async () => {
  const server = await startEmbeddedPostgres(options)
  await query(server, 'insert into kept values (1), (2)')

  process.kill(server.process.pid, 'SIGKILL')
  await eventually(async () => !(await isAlive(server.process)))
  const again = await startEmbeddedPostgres({ ...options, port: server.port })

  assert.equal(again.port, server.port)
  assert.deepEqual(await query(again, 'select sum(n)::int as sum from kept'), [{ sum: 3 }])
})

it('is gone after it was stopped, and what it kept is there the next time', async () => {
  const server = await startEmbeddedPostgres(options)

  await stopEmbeddedPostgres(options)
  await stopEmbeddedPostgres(options)

  assert.equal(await isAlive(server.process), false)
  assert.equal((await query(await startEmbeddedPostgres(options), 'select * from kept')).length, 2)
})

it('says in its own words why it does not start', async () => {
  const other = await startEmbeddedPostgres(options)

  await assert.rejects(startEmbeddedPostgres({ ...options, folder: join(folder, 'second'), port: other.port }), {
    code: 'postgres_not_started',
    message: /could not bind IPv4 address "127\.0\.0\.1"/
  })
})
