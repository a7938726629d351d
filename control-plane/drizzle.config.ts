import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'postgresql',
  schema: './src/*/schema.ts',
  out: './migrations',
  // The roles are made by `migrate` before the first migration; only policies name them here.
  entities: { roles: false }
})
