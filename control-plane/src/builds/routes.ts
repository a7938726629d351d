import { Build, BuildList, BuildRequest } from '@berth/shared/api/builds'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf } from '../platform/gate.ts'
import type { BuildService } from './service.ts'

export const buildRoutes: FastifyPluginAsyncTypebox<{ builds: BuildService }> = async (app, { builds }) => {
  app.get('/v1/builds', { schema: { summary: 'List builds', response: answers(200, BuildList) } }, () => builds.list())
  app.post(
    '/v1/builds',
    {
      schema: {
        summary: 'Offer a build whose files lie in the store (operators)',
        body: BuildRequest,
        response: answers(201, Build)
      }
    },
    async (request, reply) => {
      reply.code(201)
      return builds.offer(callerOf(request), request.body)
    }
  )
}
