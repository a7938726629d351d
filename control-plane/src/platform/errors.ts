import type { ErrorAnswer } from '@berth/shared/api/common'
import { KeysError } from '@berth/shared/keys/keys'
import { ObjectsError } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'
import type { FastifyError } from 'fastify'

/** How a caller can be refused. The code is public API; the status follows from it. */
export const statusByCode = {
  invalid: 400,
  unauthenticated: 401,
  bad_credentials: 401,
  forbidden: 403,
  not_found: 404,
  disabled: 409,
  name_taken: 409,
  path_taken: 409,
  host_taken: 409,
  no_root_deployment: 409,
  schedule_overlap: 409,
  nothing_to_roll_back_to: 409,
  already_live: 409,
  release_failed: 409,
  upload_not_open: 409,
  upload_expired: 409,
  too_many_uploads: 409,
  build_taken: 409,
  in_progress: 409,
  idempotency_key_reused: 409,
  upload_key_already_handed_out: 409,
  too_large: 413,
  unsupported_media_type: 415,
  no_build: 422,
  bad_build: 422,
  unsigned: 422,
  wrong_role: 422,
  too_many_requests: 429,
  unavailable: 503
} as const
export type RefusalCode = keyof typeof statusByCode

/** The one way in which this service's own code makes a refusal: a code without a status does not compile. */
export const refusal = (
  code: RefusalCode,
  message: string,
  options: { readonly field?: string; readonly cause?: unknown } = {}
): Refusal => new Refusal(code, message, options)

/**
 * What is missing and what belongs to another subscription are answered by the same bytes (but the request's id): this message
 * names nothing that was asked for but the field.
 */
export const notFound = (field?: string): Refusal =>
  refusal('not_found', 'there is no such object, or you may not see it', field === undefined ? {} : { field })

const bodyErrors: Readonly<Record<string, { code: RefusalCode; message: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'too_large', message: 'the request’s body is too large; nothing was changed' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', message: 'send a JSON body as application/json' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'invalid', message: 'the body is empty where JSON is expected' },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'invalid', message: 'the body is not JSON' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'invalid', message: 'the body is not as long as its header says' }
}

/** An expected failure as a refusal with a known code; nothing for a bug. */
export const asRefusal = (error: unknown): Refusal | undefined => {
  if (error instanceof Refusal) return Object.hasOwn(statusByCode, error.code) ? error : undefined
  if ((error instanceof ObjectsError || error instanceof KeysError) && error.code === 'unavailable')
    return refusal('unavailable', 'a store that this needs does not answer; nothing was changed, try again', { cause: error })
  const known = bodyErrors[(error as Partial<FastifyError>)?.code ?? ''] // Fastify's own errors are known by their code
  return known && refusal(known.code, known.message, { field: '/', cause: error })
}

/** Status and body for an expected failure. */
export const refusalAnswer = (refused: Refusal, requestId: string): { status: number; body: ErrorAnswer } => ({
  status: statusByCode[refused.code as RefusalCode], // `asRefusal` lets no other code through
  body: {
    code: refused.code,
    message: refused.message,
    ...(refused.field === undefined ? {} : { field: refused.field }),
    requestId
  }
})

/** What a caller learns of a bug: that it is logged, and under which id. */
export const failureAnswer = (requestId: string): { status: 500; body: ErrorAnswer } => ({
  status: 500,
  body: { code: 'internal', message: 'something failed that must not; it was logged under this request’s id', requestId }
})
