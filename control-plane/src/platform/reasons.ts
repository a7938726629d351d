import { Refusal } from '@berth/shared/refusal'
import { DrizzleQueryError } from 'drizzle-orm/errors'

/** A query's error carries its parameters, which may be a tenant's; PostgreSQL's own words are enough. */
export const reasonOf = (error: unknown): Error => {
  if (error instanceof DrizzleQueryError) return error.cause ?? new Error('a query failed, and the driver does not say why')
  return error instanceof Error ? error : new Error(String(error))
}

/** What the log says of a failure: words only, since an error's other fields may hold anything. Where a refusal was made says nothing. */
export const detailsOf = (failure: unknown): { readonly reason: string; readonly stack?: string; readonly code?: string } => {
  const error = reasonOf(failure)
  return {
    reason: error.message,
    ...(error instanceof Refusal || error.stack === undefined ? {} : { stack: error.stack }),
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {})
  }
}
