import { ObjectParams, SubscriptionParams } from '@berth/shared/api/common'
import { Site, SiteList, SiteRequest } from '@berth/shared/api/sites'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf } from '../platform/gate.ts'
import type { SiteService } from './service.ts'

export const siteRoutes: FastifyPluginAsyncTypebox<{ sites: SiteService }> = async (app, { sites }) => {
  app.get(
    '/sites',
    { schema: { summary: 'List sites', params: SubscriptionParams, response: answers(200, SiteList) } },
    (request) => sites.list(request.params.subscription)
  )
  app.post(
    '/sites',
    {
      schema: { summary: 'Make a site', params: SubscriptionParams, body: SiteRequest, response: answers(201, Site) }
    },
    async (request, reply) => {
      reply.code(201)
      return sites.create(callerOf(request), request.params.subscription, request.body)
    }
  )
  app.get('/sites/:id', { schema: { summary: 'Get a site', params: ObjectParams, response: answers(200, Site) } }, (request) =>
    sites.get(request.params.subscription, request.params.id)
  )
}
