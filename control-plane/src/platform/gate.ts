import { randomUUID } from 'node:crypto'
import type { GrantRole } from '@berth/shared/api/users'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Action, decide, findRule, type ObjectKind } from './access.ts'
import type { Caller } from './change.ts'
import { notFound, refusal } from './errors.ts'

/** Who is signed in, by which session. */
export type Person = {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly operator: boolean
  readonly session: string
}

/** What the gate asks of the users: whose token this is, and which roles they have in a subscription. It decides, they know. */
export type FindPerson = (
  token: string,
  subscription: string | undefined
) => Promise<{ readonly person: Person; readonly roles: readonly GrantRole[] } | undefined>

/** What is known of a request that came through. `member` names the subscription in which the person has a role. */
export type Passage = {
  readonly action: Action
  readonly object: ObjectKind
  readonly person?: Person
  readonly member?: string
}

declare module 'fastify' {
  interface FastifyRequest {
    passage: Passage | null
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const mutations = new Set(['POST', 'PATCH', 'PUT', 'DELETE'])

/** Whether a request may change something. */
export const isMutation = (method: string): boolean => mutations.has(method)

/**
 * The one place that every request passes, before its body is read: who asks, for what, and whether they may.
 * A route that the table of rules does not name cannot even be registered.
 */
export const putGate = (app: FastifyInstance, find: FindPerson): void => {
  app.decorateRequest('passage', null)
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat())
      if (!findRule(one, url)) throw new Error(`the route ${one} ${url} is missing from the table of rules (platform/access.ts)`)
  })
  app.addHook('onRequest', async (request) => {
    if (request.is404) return
    const rule = findRule(request.method, request.routeOptions.url ?? '')
    if (!rule) throw refusal('forbidden', 'nobody may do this')
    request.passage = rule
    const { person, roles } = await findAsker(request, find)
    request.passage = { ...rule, ...(person && { person }), ...(roles.length > 0 && { member: subscriptionOf(request) }) }
    const actor = person ? ({ kind: 'user', operator: person.operator, roles } as const) : ({ kind: 'stranger' } as const)
    const decision = decide({ actor, ...rule })
    if (!decision.allowed) throw refusalOf(decision.code)
  })
}

/** Who asks for a change, for the service that carries it out. */
export const callerOf = (request: FastifyRequest): Caller => {
  const { action, person, member } = passageOf(request)
  const key = request.headers['idempotency-key']
  if (key !== undefined && !(typeof key === 'string' && uuid.test(key)))
    throw refusal('invalid', 'the header Idempotency-Key is not a UUID', { field: '/headers/idempotency-key' })
  return {
    actor: person ? { kind: 'user', id: person.id } : { kind: 'stranger' },
    action,
    requestId: request.id,
    source: request.ip,
    ...(person && key !== undefined
      ? {
          idempotency: {
            user: person.id,
            subscription: member,
            key,
            route: `${request.method} ${request.url}`,
            body: request.body
          }
        }
      : {})
  }
}

/** Who is signed in; only for routes that a stranger cannot pass. */
export const personOf = (request: FastifyRequest): Person => {
  const { person } = passageOf(request)
  if (!person) throw new Error(`${request.routeOptions.url} needs a person and lets strangers pass`)
  return person
}

export const newRequestId = (): string => randomUUID()

const passageOf = (request: FastifyRequest): Passage => {
  if (!request.passage) throw new Error(`${request.routeOptions.url} was reached past the gate`)
  return request.passage
}

/** A token is looked at only where somebody is needed: signing in anew works with an expired one at hand. */
const findAsker = async (
  request: FastifyRequest,
  find: FindPerson
): Promise<{ readonly person?: Person; readonly roles: readonly GrantRole[] }> => {
  const { authorization } = request.headers
  if (authorization === undefined || request.passage?.object === 'public') return { roles: [] }
  const subscription = subscriptionOf(request)
  const token = /^Bearer (\S{1,200})$/i.exec(authorization)?.[1] ?? ''
  const found = await find(token, uuid.test(subscription) ? subscription : undefined)
  if (!found) throw refusalOf('unauthenticated')
  return found
}

const subscriptionOf = ({ params }: FastifyRequest): string =>
  typeof params === 'object' && params !== null && 'subscription' in params ? String(params.subscription) : ''

const refusalOf = (code: 'unauthenticated' | 'not_found' | 'forbidden') => {
  if (code === 'not_found') return notFound()
  return code === 'unauthenticated'
    ? refusal(code, 'sign in first: this needs a token that is valid (`Authorization: Bearer …`)')
    : refusal(code, 'you may not do this')
}
