import { ObjectParams } from '@berth/shared/api/common'
import {
  Upload,
  UploadCreated,
  UploadFinishRequest,
  UploadPacksAnswer,
  UploadPacksRequest,
  UploadRequest
} from '@berth/shared/api/uploads'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import { callerOf } from '../platform/gate.ts'
import type { UploadService } from './service.ts'

/** Thousands of packs are named in one request. */
const bodyLimit = 4 * 1024 * 1024

export const uploadRoutes: FastifyPluginAsyncTypebox<{ uploads: UploadService }> = async (app, { uploads }) => {
  app.post(
    '/applications/:id/uploads',
    {
      schema: {
        summary: 'Open an upload and get its key',
        params: ObjectParams,
        body: UploadRequest,
        response: answers(201, UploadCreated)
      }
    },
    async (request, reply) => {
      reply.code(201)
      return uploads.create(callerOf(request), request.params.subscription, request.params.id, request.body)
    }
  )
  app.post(
    '/uploads/:id/packs',
    {
      bodyLimit,
      schema: {
        summary: 'Get URLs to send packs to',
        params: ObjectParams,
        body: UploadPacksRequest,
        response: answers(200, UploadPacksAnswer)
      }
    },
    (request) => uploads.send(callerOf(request), request.params.subscription, request.params.id, request.body)
  )
  app.post(
    '/uploads/:id/finish',
    {
      bodyLimit,
      schema: {
        summary: 'Have a complete upload sealed into a version',
        params: ObjectParams,
        body: UploadFinishRequest,
        response: answers(202, Upload)
      }
    },
    async (request, reply) => {
      reply.code(202)
      return uploads.finish(callerOf(request), request.params.subscription, request.params.id, request.body)
    }
  )
  app.get(
    '/uploads/:id',
    { schema: { summary: 'Get an upload', params: ObjectParams, response: answers(200, Upload) } },
    (request) => uploads.get(request.params.subscription, request.params.id)
  )
}
