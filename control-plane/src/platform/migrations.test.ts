import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { it } from 'node:test'
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api'
import { sql } from 'drizzle-orm'
import { testDatabase } from '../testing/postgres.ts'
import { connect, disconnect } from './database.ts'

const sources = new URL('../', import.meta.url)
const folders = (await readdir(sources, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name)

/** What a database is, as far as tables go; policies of services other than the API are written by hand. */
const catalogue = `
  select 'column' as kind, table_name || '.' || column_name as name,
    concat_ws(' ', data_type, is_nullable, column_default, character_maximum_length, datetime_precision) as what
  from information_schema.columns where table_schema = 'public'
  union all select 'constraint', conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid)
  from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n'
  union all select 'index', tablename || ' ' || indexname, indexdef from pg_indexes where schemaname = 'public'
  union all select 'policy', tablename || ' ' || policyname, concat_ws(' ', permissive, cmd, qual, with_check)
  from pg_policies where roles = '{berth_api}'
  union all select 'row security', relname, relrowsecurity::text
  from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
  order by 1, 2, 3`

it('makes the same database by its migrations as the schemas say', async () => {
  const [migrated, fresh] = [await testDatabase(), await testDatabase({ migrated: false })]
  const [one, two] = [connect(migrated.ownerUrl), connect(fresh.ownerUrl)]
  try {
    const schemas: Record<string, unknown> = {}
    for (const folder of folders) {
      const file = new URL(`${folder}/schema.ts`, sources)
      if (await readFile(file).catch(() => undefined)) Object.assign(schemas, await import(file.href))
    }
    for (const statement of await generateMigration(generateDrizzleJson({}), generateDrizzleJson(schemas)))
      await two.execute(sql.raw(statement))

    const [left, right] = [(await one.execute(sql.raw(catalogue))).rows, (await two.execute(sql.raw(catalogue))).rows]

    assert.ok(left.length > 150)
    assert.deepEqual(left, right)
  } finally {
    await disconnect(one)
    await disconnect(two)
  }
})
