import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { Refusal } from '@berth/shared/refusal'
import { eventually } from '@berth/shared/testing/eventually'
import { sql } from 'drizzle-orm'
import { accounts } from '../accounts/schema.ts'
import { testDatabase } from '../testing/postgres.ts'
import { connect, disconnect, hint, inSubscription, inTransaction, listen, migrate } from './database.ts'

const database = await testDatabase()

it('migrates a database that is migrated already without changing it', async () => {
  await migrate(database.ownerUrl)
})

it('fails loudly when a subscription’s table is read outside a subscription, on a used connection too', async () => {
  const db = connect(database.urlOf('berth_api'), { connectionsMax: 1 })
  try {
    await assert.rejects(db.select().from(accounts))
    await inSubscription(db, '00000000-0000-4000-8000-000000000001', (tx) => tx.select().from(accounts))
    await assert.rejects(db.select().from(accounts))
    await assert.rejects(inTransaction(db, (tx) => tx.select().from(accounts)))
  } finally {
    await disconnect(db)
  }
})

it('tells listeners at once, and again after each reconnection', async () => {
  const db = connect(database.urlOf('berth_api'))
  const stop = new AbortController()
  let hints = 0
  const listening = listen(database.urlOf('berth_writer'), 'berth_writer', () => hints++, stop.signal, systemClock)
  try {
    await eventually(() => hints === 1)
    await inTransaction(db, (tx) => hint(tx, 'writer'))
    await eventually(() => hints === 2)
    await askOwner(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'berth_writer'`)
    await eventually(() => hints === 3)
  } finally {
    stop.abort()
    await listening
    await disconnect(db)
  }
})

it('answers `unavailable` while PostgreSQL is away, loses no process to it, and goes on when it is back', async () => {
  const db = connect(database.urlOf('berth_api'))
  try {
    await inTransaction(db, (tx) => tx.execute(sql`select 1`))
    const killed = inTransaction(db, async (tx) => {
      await askOwner(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'berth_api'`)
      return tx.execute(sql`select 1`)
    })
    await assert.rejects(killed, (error) => error instanceof Refusal && error.code === 'unavailable')
    const nobody = connect('postgres://berth_api:x@127.0.0.1:1/nothing')
    await assert.rejects(
      inTransaction(nobody, (tx) => tx.execute(sql`select 1`)),
      (error) => error instanceof Refusal && error.code === 'unavailable'
    )
    await inTransaction(db, (tx) => tx.execute(sql`select 1`))
  } finally {
    await disconnect(db)
  }
})

const unavailable = (error: unknown): boolean => error instanceof Refusal && error.code === 'unavailable'

it('gives up on a statement that takes too long, and on a transaction that is left idle; others go on', async () => {
  const db = connect(database.urlOf('berth_api'), { connectionsMax: 1, statementMs: 200 })
  try {
    await assert.rejects(
      inTransaction(db, (tx) => tx.execute(sql`select pg_sleep(600)`)),
      unavailable
    )
    const idle = inTransaction(db, async (tx) => {
      const { rows } = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`)
      await eventually(async () => (await askOwner(`select from pg_stat_activity where pid = ${rows[0]?.pid}`)).length === 0)
      return tx.execute(sql`select 1`)
    })
    await assert.rejects(idle, unavailable)
    await inTransaction(db, (tx) => tx.execute(sql`select 1`))
  } finally {
    await disconnect(db)
  }
})

it('gives up on a connection that has gone silent, and takes another one', async () => {
  const { port, hostname } = new URL(database.urlOf('berth_api'))
  const sockets: Socket[] = []
  const relay = createServer((near) => {
    const far = createConnection({ port: Number(port), host: hostname })
    sockets.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => undefined)
    near.pipe(far).pipe(near)
  })
  await once(relay.listen(0, '127.0.0.1'), 'listening')
  const url = new URL(database.urlOf('berth_api'))
  url.hostname = '127.0.0.1'
  url.port = String((relay.address() as AddressInfo).port) // it listens on a port
  const db = connect(url.href, { connectionsMax: 1, statementMs: 200 })
  try {
    const silenced = inTransaction(db, async (tx) => {
      await tx.execute(sql`select 1`)
      for (const socket of sockets) socket.unpipe().pause()
      return tx.execute(sql`select 1`)
    })
    await assert.rejects(silenced, unavailable)
    await inTransaction(db, (tx) => tx.execute(sql`select 1`))
  } finally {
    await disconnect(db)
    for (const socket of sockets) socket.destroy()
    relay.close()
  }
})

const askOwner = async (query: string): Promise<unknown[]> => {
  const owner = connect(database.ownerUrl)
  try {
    return (await owner.execute(sql.raw(query))).rows
  } finally {
    await disconnect(owner)
  }
}
