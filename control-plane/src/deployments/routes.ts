import { ObjectParams, SubscriptionParams } from '@berth/shared/api/common'
import { Deployment, DeploymentList, DeploymentPatch, DeploymentRequest, DeploymentStatus } from '@berth/shared/api/deployments'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf } from '../platform/gate.ts'
import type { DeploymentService } from './service.ts'
import type { deploymentStatus } from './status.ts'

type Services = { deployments: DeploymentService; status: ReturnType<typeof deploymentStatus> }

export const deploymentRoutes: FastifyPluginAsyncTypebox<Services> = async (app, { deployments, status }) => {
  app.get(
    '/deployments',
    { schema: { summary: 'List deployments', params: SubscriptionParams, response: answers(200, DeploymentList) } },
    (request) => deployments.list(request.params.subscription)
  )
  app.post(
    '/deployments',
    {
      schema: {
        summary: 'Make a deployment',
        params: SubscriptionParams,
        body: DeploymentRequest,
        response: answers(201, Deployment)
      }
    },
    async (request, reply) => {
      reply.code(201)
      return deployments.create(callerOf(request), request.params.subscription, request.body)
    }
  )
  app.get(
    '/deployments/:id',
    { schema: { summary: 'Get a deployment', params: ObjectParams, response: answers(200, Deployment) } },
    (request) => deployments.get(request.params.subscription, request.params.id)
  )
  app.patch(
    '/deployments/:id',
    {
      schema: {
        summary: 'Change, disable or enable a deployment',
        params: ObjectParams,
        body: DeploymentPatch,
        response: answers(200, Deployment)
      }
    },
    (request) => deployments.change(callerOf(request), request.params.subscription, request.params.id, request.body)
  )
  app.get(
    '/deployments/:id/status',
    { schema: { summary: 'Requested and actual state', params: ObjectParams, response: answers(200, DeploymentStatus) } },
    (request) => status(request.params.subscription, request.params.id)
  )
}
