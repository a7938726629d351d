import { Account, AccountList, AccountRequest } from '@berth/shared/api/accounts'
import { ObjectParams, SubscriptionParams } from '@berth/shared/api/common'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf } from '../platform/gate.ts'
import type { AccountService } from './service.ts'

export const accountRoutes: FastifyPluginAsyncTypebox<{ accounts: AccountService }> = async (app, { accounts }) => {
  app.get(
    '/accounts',
    { schema: { summary: 'List accounts', params: SubscriptionParams, response: answers(200, AccountList) } },
    (request) => accounts.list(request.params.subscription)
  )
  app.post(
    '/accounts',
    {
      schema: {
        summary: 'Make an account',
        params: SubscriptionParams,
        body: AccountRequest,
        response: answers(201, Account)
      }
    },
    async (request, reply) => {
      reply.code(201)
      return accounts.create(callerOf(request), request.params.subscription, request.body)
    }
  )
  app.get(
    '/accounts/:id',
    { schema: { summary: 'Get an account', params: ObjectParams, response: answers(200, Account) } },
    (request) => accounts.get(request.params.subscription, request.params.id)
  )
}
