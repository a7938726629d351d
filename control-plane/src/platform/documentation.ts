import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

/** The contract at /openapi.json and its reference page at /docs, made of the very schemas that check requests. */
export const putDocumentation = async (app: FastifyInstance, version: string): Promise<void> => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Berth',
        version,
        description:
          'Publish web applications and deploy them to fleets. Every change may carry an `Idempotency-Key` (a UUID): the same ' +
          'request with the same key changes nothing twice.'
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }]
    }
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // No request leaves for elsewhere: no validator, nothing but our own files.
    uiConfig: { validatorUrl: null, persistAuthorization: false },
    staticCSP:
      "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
