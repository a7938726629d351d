import { Me, SignInAnswer, SignInRequest } from '@berth/shared/api/users'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers, noContent } from '../platform/answers.ts'
import { callerOf, personOf } from '../platform/gate.ts'
import type { UserService } from './service.ts'

export const userRoutes: FastifyPluginAsyncTypebox<{ users: UserService }> = async (app, { users }) => {
  app.post(
    '/v1/sign-in',
    { schema: { summary: 'Sign in by password', body: SignInRequest, response: answers(200, SignInAnswer) } },
    (request) => users.signIn(callerOf(request), request.body)
  )
  app.delete('/v1/session', { schema: { summary: 'Sign out', response: noContent } }, async (request, reply) => {
    await users.signOut(callerOf(request), personOf(request))
    return reply.code(204).send(null)
  })
  app.get('/v1/me', { schema: { summary: 'Who is signed in', response: answers(200, Me) } }, (request) =>
    users.me(personOf(request))
  )
}
