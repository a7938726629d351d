import type { Clock } from '@berth/shared/clock'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { recordAudit } from './audit.ts'
import { type Db, inSubscription, inTransaction } from './database.ts'
import { asRefusal, failureAnswer, notFound, refusalAnswer } from './errors.ts'
import { isMutation } from './gate.ts'
import { detailsOf } from './reasons.ts'
import type { Log } from './service-loop.ts'

/**
 * The one place where failures become answers. A refused attempt is an entry of the audit log: of the subscription's for its
 * members, of the operators' for everybody else. What is not a refusal is a bug: logged with the request's id, and nothing of it told.
 */
export const putRefusals = (app: FastifyInstance, { db, clock, log }: { db: Db; clock: Clock; log: Log }): void => {
  const strangers = onceAMinute(clock)

  app.setErrorHandler(async (error, request, reply) => {
    const refused = asRefusal(error)
    const { status, body } = refused ? refusalAnswer(refused, request.id) : failureAnswer(request.id)
    if (!refused || status >= 500)
      log({
        service: 'api',
        level: refused ? 'warn' : 'error',
        message: `${request.method} ${pathOf(request)} failed`,
        requestId: request.id,
        ...detailsOf(refused?.cause ?? error)
      })
    if (isAttempt(request, status)) {
      try {
        await auditRefusal(request, body.code, body.field)
      } catch (cause) {
        log({
          service: 'api',
          level: 'error',
          message: 'a refusal could not be recorded',
          requestId: request.id,
          ...detailsOf(cause)
        })
      }
    }
    return reply.code(status).send(body)
  })

  app.setNotFoundHandler(async (request, reply) => {
    const { status, body } = refusalAnswer(notFound(), request.id)
    return reply.code(status).send(body)
  })

  const auditRefusal = async (request: FastifyRequest, code: string, field: string | undefined): Promise<void> => {
    const { action = 'unknown', person, member } = request.passage ?? {}
    // Whoever is no member here is a stranger to this subscription, signed in or not.
    const earlier = member === undefined ? strangers(`${person?.id ?? request.ip} ${action} ${code}`) : 0
    if (earlier === undefined) return
    const entry = {
      subscription: member,
      actor: person ? ({ kind: 'user', id: person.id } as const) : ({ kind: 'stranger' } as const),
      action,
      object: pathOf(request),
      outcome: code === 'internal' || code === 'unavailable' ? 'failed' : 'refused',
      detail: { code, ...(field === undefined ? {} : { field }), ...(earlier > 0 ? { notRecordedBefore: earlier } : {}) },
      requestId: request.id,
      source: request.ip
    } as const
    if (member === undefined) await inTransaction(db, (tx) => recordAudit(tx, entry))
    else await inSubscription(db, member, (tx) => recordAudit(tx, entry))
  }
}

/** A URL that is none reaches no hook and no handler: Fastify asks for its answer here. */
export const answerBadUrl = (_: unknown, request: FastifyRequest, reply: FastifyReply): void => {
  const { status, body } = refusalAnswer(notFound(), request.id)
  reply.code(status).send(body)
}

/**
 * Reading what is not there is no attempt at anything; reading what one may not see, a token that is none (any more), and every
 * change that was refused, is.
 */
const isAttempt = (request: FastifyRequest, status: number): boolean => {
  if (!request.passage) return false
  if (isMutation(request.method)) return true
  const { object, member } = request.passage
  if (status === 401) return request.headers.authorization !== undefined
  return status === 403 || (status === 404 && object === 'subscription' && member === undefined)
}

const pathOf = (request: FastifyRequest): string => request.url.replace(/\?.*$/s, '').slice(0, 500)

/** So that nobody can fill the operators' log: the first of a kind in a minute is recorded, with how many went unrecorded before. */
const onceAMinute = (clock: Clock) => {
  const kindsMax = 1000
  const seen = new Map<string, { minute: number; unrecorded: number }>()
  return (kind: string): number | undefined => {
    const minute = Math.floor(clock.now().getTime() / 60_000)
    const known = seen.get(kind)
    if (known?.minute === minute) {
      known.unrecorded += 1
      return undefined
    }
    if (!known && seen.size >= kindsMax) seen.clear()
    seen.set(kind, { minute, unrecorded: 0 })
    return known?.unrecorded ?? 0
  }
}
