import { ObjectParams, SubscriptionParams } from '@berth/shared/api/common'
import { Operation, OperationList, OperationQuery } from '@berth/shared/api/operations'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import type { OperationService } from './service.ts'

export const operationRoutes: FastifyPluginAsyncTypebox<{ operations: OperationService }> = async (app, { operations }) => {
  app.get(
    '/operations',
    {
      schema: {
        summary: 'List operations, newest first',
        params: SubscriptionParams,
        querystring: OperationQuery,
        response: answers(200, OperationList)
      }
    },
    (request) => operations.list(request.params.subscription, request.query.deployment)
  )
  app.get(
    '/operations/:id',
    { schema: { summary: 'Get an operation', params: ObjectParams, response: answers(200, Operation) } },
    (request) => operations.get(request.params.subscription, request.params.id)
  )
}
