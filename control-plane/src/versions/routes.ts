import { ObjectParams } from '@berth/shared/api/common'
import { Version, VersionList, VersionParams } from '@berth/shared/api/versions'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { answers } from '../platform/answers.ts'
import type { VersionService } from './service.ts'

export const versionRoutes: FastifyPluginAsyncTypebox<{ versions: VersionService }> = async (app, { versions }) => {
  app.get(
    '/applications/:id/versions',
    { schema: { summary: 'List versions, newest first', params: ObjectParams, response: answers(200, VersionList) } },
    (request) => versions.list(request.params.subscription, request.params.id)
  )
  app.get(
    '/applications/:id/versions/:number',
    { schema: { summary: 'Get a version', params: VersionParams, response: answers(200, Version) } },
    (request) => versions.get(request.params.subscription, request.params.id, Number(request.params.number))
  )
}
