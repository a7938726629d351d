import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sql } from 'drizzle-orm'
import { DrizzleQueryError } from 'drizzle-orm/errors'
import { testDatabase } from '../testing/postgres.ts'
import { connect, disconnect, inSubscription, inTransaction } from './database.ts'
import { mayOnTables, platformTables, serviceRoles } from './roles.ts'
import { auditEntries } from './schema.ts'

const database = await testDatabase()
const owner = connect(database.ownerUrl)
const rowsOf = async (query: string): Promise<Record<string, unknown>[]> => (await owner.execute(sql.raw(query))).rows
const tables = (await rowsOf(`select tablename from pg_tables where schemaname = 'public' order by 1`)).map((row) =>
  String(row.tablename)
)
const isOwned = (table: string) => !platformTables.some((name) => name === table)

const withoutColumn = (command: string): string => command.replace(/\(.*/, '')

/** These are a subscription's by another column or with a null in it; their own tests say how. */
const otherwiseOwned = new Set(['subscriptions', 'audit_entries', 'idempotency_keys'])

it('has tables', () => assert.ok(tables.length > 15))

for (const table of tables.filter(isOwned).filter((name) => !otherwiseOwned.has(name)))
  it(`${table} is closed to other subscriptions`, async () => {
    const columns = await rowsOf(`select column_name, is_nullable from information_schema.columns where table_name = '${table}'`)
    const policies = await rowsOf(`select * from pg_policies where tablename = '${table}' and 'berth_api' = any (roles)`)

    assert.ok(columns.some((row) => row.column_name === 'subscription_id' && row.is_nullable === 'NO'))
    assert.equal(policies.length, 1)
    assert.equal(policies[0]?.policyname, 'subscription_isolation')
    assert.equal(policies[0]?.cmd, 'ALL')
    assert.match(String(policies[0]?.qual), /subscription_id = .*current_setting\('app\.subscription_id'/)
    assert.equal(policies[0]?.with_check, policies[0]?.qual)
  })

it('lets row-level security rule every table of a subscription, and only services by their own policies', async () => {
  const unguarded = await rowsOf(
    `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity`
  )
  assert.deepEqual(unguarded.map((row) => row.relname).toSorted(), [...platformTables].toSorted())

  for (const role of serviceRoles.filter((name) => name !== 'berth_api')) {
    const policies = await rowsOf(`select tablename, cmd, policyname from pg_policies where '${role}' = any (roles)`)
    const expected = Object.entries(mayOnTables[role])
      .filter(([table]) => isOwned(table))
      .flatMap(([table, commands]) =>
        commands.map(withoutColumn).map((command) => `${table} ${command} ${role.replace('berth_', '')}_${command}`)
      )
    assert.deepEqual(
      policies.map((row) => `${row.tablename} ${String(row.cmd).toLowerCase()} ${row.policyname}`).toSorted(),
      expected.toSorted()
    )
  }
})

it('grants each service what its row of the table says, and nothing else to anybody', async () => {
  const granted = await rowsOf(
    `select grantee, table_name, lower(privilege_type) as command from information_schema.role_table_grants
     where table_schema = 'public' and grantee <> 'berth_owner'
     union all
     select a.grantee::regrole::text, c.relname, lower(a.privilege_type) || '(' || t.attname || ')'
     from pg_attribute t join pg_class c on c.oid = t.attrelid and c.relnamespace = 'public'::regnamespace, aclexplode(t.attacl) a`
  )
  const expected = serviceRoles.flatMap((role) =>
    Object.entries(mayOnTables[role]).flatMap(([table, commands]) => commands.map((command) => `${role} ${table} ${command}`))
  )
  assert.deepEqual(granted.map((row) => `${row.grantee} ${row.table_name} ${row.command}`).toSorted(), expected.toSorted())
})

it('lets no service make a person, nor give anybody rights over the platform', async () => {
  for (const role of serviceRoles) {
    const db = connect(database.urlOf(role))
    try {
      for (const statement of [
        "insert into users (email, name, password_hash, operator) values ('a@example.com', 'a', '-', true)",
        'update users set operator = true',
        "update sites set status = 'disabled'"
      ])
        await assert.rejects(
          inSubscription(db, crypto.randomUUID(), (tx) => tx.execute(sql.raw(statement))),
          (error) => error instanceof DrizzleQueryError && /permission denied/.test(String(error.cause)),
          `${role}: ${statement}`
        )
    } finally {
      await disconnect(db)
    }
  }
})

it('gives services nothing to own, and no right that reaches past row-level security', async () => {
  const roles = await rowsOf(
    `select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,
       (select count(*)::int from pg_class where relowner = r.oid) as owns,
       (select count(*)::int from pg_auth_members where member = r.oid) as member_of
     from pg_roles r where rolname like 'berth\\_%' and rolname <> 'berth_owner' order by 1`
  )
  const rights = { rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false, owns: 0, member_of: 0 }
  assert.deepEqual(
    roles,
    serviceRoles.toSorted().map((rolname) => ({ rolname, ...rights }))
  )
})

it('lets nobody but the API call the functions that look across subscriptions', async () => {
  const functions = await rowsOf(
    `select p.proname, array(select r.rolname from pg_roles r
       where r.rolname like 'berth\\_%' and r.rolname <> 'berth_owner' and has_function_privilege(r.oid, p.oid, 'execute')) as who
     from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef order by 1`
  )
  assert.deepEqual(
    functions.map(({ proname, who }) => [proname, String(who)]),
    [
      ['fleet_reports', '{berth_api}'],
      ['forget_idempotency_keys', '{berth_api}'],
      ['observed_deployments', '{berth_api}'],
      ['platform_subscriptions', '{berth_api}'],
      ['raise_revision', '{}'],
      ['say_head_lost', '{berth_api}'],
      ['user_subscriptions', '{berth_api}']
    ]
  )
})

it('lets no service change or delete an entry of the audit log, nor write into another subscription’s', async () => {
  const ours = '00000000-0000-4000-8000-000000000001'
  const theirs = '00000000-0000-4000-8000-000000000002'
  const entry = { actor: 'service:test', actorKind: 'service', action: 'test', outcome: 'done' } as const
  for (const role of serviceRoles) {
    const db = connect(database.urlOf(role))
    try {
      await inSubscription(db, ours, async (tx) => {
        await tx.insert(auditEntries).values([{ ...entry, subscriptionId: ours }, entry])
      })
      for (const statement of ["update audit_entries set action = 'x'", 'delete from audit_entries', 'truncate audit_entries'])
        await assert.rejects(inSubscription(db, ours, (tx) => tx.execute(sql.raw(statement))))
      if (role === 'berth_api') {
        const foreign = { ...entry, subscriptionId: theirs }
        await assert.rejects(inSubscription(db, ours, (tx) => tx.insert(auditEntries).values(foreign)))
        const seen = await inSubscription(db, ours, (tx) => tx.select().from(auditEntries))
        assert.ok(seen.length > 0 && seen.every(({ subscriptionId }) => subscriptionId === ours))
      }
    } finally {
      await disconnect(db)
    }
  }
})

it('fails loudly, on a used connection too, for every table of a subscription that is read outside one', async () => {
  const db = connect(database.urlOf('berth_api'), { connectionsMax: 1 })
  try {
    await inSubscription(db, '00000000-0000-4000-8000-000000000001', (tx) => tx.execute(sql`select 1`))
    // Of idempotency keys those of no subscription are read there, and no others: their own tests say so.
    const readable = tables
      .filter((table) => isOwned(table) && table !== 'idempotency_keys')
      .filter((table) => mayOnTables.berth_api[table]?.includes('select'))
    for (const table of readable)
      await assert.rejects(
        inTransaction(db, (tx) => tx.execute(sql.raw(`select * from ${table}`))),
        table
      )
  } finally {
    await disconnect(db)
    await disconnect(owner)
  }
})
