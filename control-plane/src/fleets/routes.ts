import { Fleet, FleetList, FleetParams } from '@berth/shared/api/fleets'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf } from '../platform/gate.ts'
import type { FleetService } from './service.ts'

export const fleetRoutes: FastifyPluginAsyncTypebox<{ fleets: FleetService }> = async (app, { fleets }) => {
  app.get('/v1/fleets', { schema: { summary: 'List fleets (operators)', response: answers(200, FleetList) } }, () =>
    fleets.list()
  )
  app.get(
    '/v1/fleets/:fleet',
    { schema: { summary: 'Get a fleet (operators)', params: FleetParams, response: answers(200, Fleet) } },
    (request) => fleets.get(request.params.fleet)
  )
  app.post(
    '/v1/fleets/:fleet/head-lost',
    {
      schema: {
        summary: 'Say that the head of a fleet is gone from the object store for good (operators)',
        params: FleetParams,
        response: answers(200, Fleet)
      }
    },
    (request) => fleets.sayHeadLost(callerOf(request), request.params.fleet)
  )
}
