import { SubscriptionParams } from '@berth/shared/api/common'
import { Subscription, SubscriptionList, SubscriptionRequest } from '@berth/shared/api/subscriptions'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf, personOf } from '../platform/gate.ts'
import type { SubscriptionService } from './service.ts'

export const subscriptionRoutes: FastifyPluginAsyncTypebox<{ subscriptions: SubscriptionService }> = async (
  app,
  { subscriptions }
) => {
  app.get(
    '/v1/subscriptions',
    { schema: { summary: 'List subscriptions', response: answers(200, SubscriptionList) } },
    (request) => subscriptions.list(personOf(request))
  )
  app.post(
    '/v1/subscriptions',
    {
      schema: { summary: 'Make a subscription (operators)', body: SubscriptionRequest, response: answers(201, Subscription) }
    },
    async (request, reply) => {
      reply.code(201)
      return subscriptions.create(callerOf(request), request.body)
    }
  )
  app.get(
    '/v1/subscriptions/:subscription',
    { schema: { summary: 'Get a subscription', params: SubscriptionParams, response: answers(200, Subscription) } },
    (request) => subscriptions.get(request.params.subscription)
  )
}
