import type { Clock } from '@berth/shared/clock'
import type { Keys } from '@berth/shared/keys/keys'
import type { Objects } from '@berth/shared/objects/objects'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { type FastifyInstance, fastify } from 'fastify'
import { accountRoutes } from './accounts/routes.ts'
import { accountService } from './accounts/service.ts'
import { applicationRoutes } from './applications/routes.ts'
import { applicationService } from './applications/service.ts'
import { buildRoutes } from './builds/routes.ts'
import { buildService } from './builds/service.ts'
import type { ApiConfig } from './config.ts'
import { deploymentRoutes } from './deployments/routes.ts'
import { deploymentService } from './deployments/service.ts'
import { deploymentStatus } from './deployments/status.ts'
import { fleetRoutes } from './fleets/routes.ts'
import { fleetService } from './fleets/service.ts'
import { operationRoutes } from './operations/routes.ts'
import { operationService } from './operations/service.ts'
import { aboutRoutes } from './platform/about.ts'
import type { Db } from './platform/database.ts'
import { putDocumentation } from './platform/documentation.ts'
import { newRequestId, putGate } from './platform/gate.ts'
import { putHeaders } from './platform/headers.ts'
import { passwordHashing } from './platform/passwords.ts'
import { answerBadUrl, putRefusals } from './platform/refusals.ts'
import type { Log } from './platform/service-loop.ts'
import { validatorCompiler } from './platform/validation.ts'
import { releaseRoutes } from './releases/routes.ts'
import { releaseService } from './releases/service.ts'
import { scheduleRoutes } from './schedules/routes.ts'
import { scheduleService } from './schedules/service.ts'
import { siteRoutes } from './sites/routes.ts'
import { siteService } from './sites/service.ts'
import { subscriptionRoutes } from './subscriptions/routes.ts'
import { subscriptionService } from './subscriptions/service.ts'
import { uploadRoutes } from './uploads/routes.ts'
import { uploadService } from './uploads/service.ts'
import { userRoutes } from './users/routes.ts'
import { personFinder, userService } from './users/service.ts'
import { versionRoutes } from './versions/routes.ts'
import { versionService } from './versions/service.ts'

/** What the API is given. `keys` wraps under `uploads` only; `objects` presigns below `staging/` and reads builds and the root. */
export type ApiDeps = {
  readonly db: Db
  readonly keys: Pick<Keys, 'dataKey'>
  readonly objects: Objects
  readonly clock: Clock
  readonly config: ApiConfig
  readonly log: Log
}

const bodyBytesMax = 1024 * 1024

/** The HTTP API, ready to listen: nothing is listening, and nothing was asked of the database, before its first request. */
export const makeApi = async (deps: ApiDeps): Promise<FastifyInstance> => {
  const app = fastify({
    bodyLimit: bodyBytesMax,
    genReqId: newRequestId,
    frameworkErrors: answerBadUrl,
    requestTimeout: 60_000,
    // Connections that do nothing do not hold up the end of the process.
    forceCloseConnections: 'idle',
    logger: false
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  putRefusals(app, deps)
  // Before the gate: who is sent away there gets the same headers.
  putHeaders(app, deps)
  putGate(app, personFinder(deps))
  await putDocumentation(app, deps.config.version)

  await app.register(aboutRoutes, deps)
  await app.register(userRoutes, { users: userService({ ...deps, passwords: passwordHashing() }) })
  await app.register(subscriptionRoutes, { subscriptions: subscriptionService(deps) })
  await app.register(buildRoutes, { builds: buildService(deps) })
  await app.register(fleetRoutes, { fleets: fleetService(deps) })
  const prefix = '/v1/subscriptions/:subscription'
  await app.register(accountRoutes, { prefix, accounts: accountService(deps) })
  await app.register(applicationRoutes, { prefix, applications: applicationService(deps) })
  await app.register(uploadRoutes, { prefix, uploads: uploadService(deps) })
  await app.register(versionRoutes, { prefix, versions: versionService(deps) })
  await app.register(siteRoutes, { prefix, sites: siteService(deps) })
  await app.register(deploymentRoutes, { prefix, deployments: deploymentService(deps), status: deploymentStatus(deps) })
  await app.register(scheduleRoutes, { prefix, schedules: scheduleService(deps) })
  await app.register(releaseRoutes, { prefix, releases: releaseService(deps) })
  await app.register(operationRoutes, { prefix, operations: operationService(deps) })
  await app.ready()
  return app
}
