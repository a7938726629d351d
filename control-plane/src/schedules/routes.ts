import { ObjectParams } from '@berth/shared/api/common'
import { ScheduleItem, ScheduleItemList, ScheduleItemRequest } from '@berth/shared/api/schedules'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf } from '../platform/gate.ts'
import type { ScheduleService } from './service.ts'

export const scheduleRoutes: FastifyPluginAsyncTypebox<{ schedules: ScheduleService }> = async (app, { schedules }) => {
  app.get(
    '/deployments/:id/schedule-items',
    { schema: { summary: 'List a deployment’s schedule', params: ObjectParams, response: answers(200, ScheduleItemList) } },
    (request) => schedules.list(request.params.subscription, request.params.id)
  )
  app.post(
    '/deployments/:id/schedule-items',
    {
      schema: {
        summary: 'Deploy a version, now or later',
        params: ObjectParams,
        body: ScheduleItemRequest,
        response: answers(202, ScheduleItem)
      }
    },
    async (request, reply) => {
      reply.code(202)
      return schedules.create(callerOf(request), request.params.subscription, request.params.id, request.body)
    }
  )
}
