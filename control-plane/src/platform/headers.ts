import type { FastifyInstance } from 'fastify'
import type { Log } from './service-loop.ts'

const headers = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin'
} as const

/** What every answer carries, and the line that the log gets for it. */
export const putHeaders = (app: FastifyInstance, { log }: { readonly log: Log }): void => {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...headers, 'x-request-id': request.id })
    // Answers hold one person's view.
    if (request.url.startsWith('/v1/')) reply.header('cache-control', 'no-store')
  })
  app.addHook('onResponse', async (request, reply) => {
    log({
      service: 'api',
      level: 'info',
      message: `${request.method} ${request.url.replace(/\?.*$/s, '')} ${reply.statusCode}`,
      requestId: request.id,
      ms: Math.round(reply.elapsedTime)
    })
  })
}
