import assert from 'node:assert/strict'
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
    await runAsOwner(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'berth_writer'`)
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
      await runAsOwner(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'berth_api'`)
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

const runAsOwner = async (statement: string): Promise<void> => {
  const owner = connect(database.ownerUrl)
  try {
    await owner.execute(sql.raw(statement))
  } finally {
    await disconnect(owner)
  }
}
