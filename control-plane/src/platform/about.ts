import { About, Health } from '@berth/shared/api/about'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sql } from 'drizzle-orm'
import type { ApiConfig } from '../config.ts'
import { answers } from './answers.ts'
import { type Db, inTransaction } from './database.ts'

/** What anyone may ask: what runs here, and whether it is well. */
export const aboutRoutes: FastifyPluginAsyncTypebox<{ db: Db; config: Pick<ApiConfig, 'version' | 'cli'> }> = async (
  app,
  { db, config }
) => {
  app.get('/v1/about', { schema: { summary: 'What runs here', response: answers(200, About) } }, async () => ({
    version: config.version,
    cli: config.cli
  }))
  // Well means able to serve: without its database the API is not.
  app.get('/v1/health', { schema: { summary: 'Whether the API is well', response: answers(200, Health) } }, async () => {
    await inTransaction(db, (tx) => tx.execute(sql`select 1`))
    return { ok: true }
  })
}
