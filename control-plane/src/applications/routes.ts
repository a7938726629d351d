import { Application, ApplicationList, ApplicationRequest } from '@berth/shared/api/applications'
import { ObjectParams, SubscriptionParams } from '@berth/shared/api/common'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf } from '../platform/gate.ts'
import type { ApplicationService } from './service.ts'

export const applicationRoutes: FastifyPluginAsyncTypebox<{ applications: ApplicationService }> = async (
  app,
  { applications }
) => {
  app.get(
    '/applications',
    { schema: { summary: 'List applications', params: SubscriptionParams, response: answers(200, ApplicationList) } },
    (request) => applications.list(request.params.subscription)
  )
  app.post(
    '/applications',
    {
      schema: {
        summary: 'Make an application',
        params: SubscriptionParams,
        body: ApplicationRequest,
        response: answers(201, Application)
      }
    },
    async (request, reply) => {
      reply.code(201)
      return applications.create(callerOf(request), request.params.subscription, request.body)
    }
  )
  app.get(
    '/applications/:id',
    { schema: { summary: 'Get an application', params: ObjectParams, response: answers(200, Application) } },
    (request) => applications.get(request.params.subscription, request.params.id)
  )
}
