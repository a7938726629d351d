import { ObjectParams } from '@berth/shared/api/common'
import { Operation } from '@berth/shared/api/operations'
import { ReleaseList, RollbackRequest } from '@berth/shared/api/releases'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf } from '../platform/gate.ts'
import type { ReleaseService } from './service.ts'

export const releaseRoutes: FastifyPluginAsyncTypebox<{ releases: ReleaseService }> = async (app, { releases }) => {
  app.get(
    '/deployments/:id/releases',
    { schema: { summary: 'List releases, newest first', params: ObjectParams, response: answers(200, ReleaseList) } },
    (request) => releases.list(request.params.subscription, request.params.id)
  )
  app.post(
    '/deployments/:id/rollback',
    {
      schema: {
        summary: 'Go back to a release that was live',
        params: ObjectParams,
        body: RollbackRequest,
        response: answers(202, Operation)
      }
    },
    async (request, reply) => {
      reply.code(202)
      return releases.rollBack(callerOf(request), request.params.subscription, request.params.id, request.body)
    }
  )
}
