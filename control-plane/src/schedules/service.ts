import type { LoggingLevel, ScheduleItem, ScheduleItemList, ScheduleItemRequest } from '@berth/shared/api/schedules'
import { findBuild } from '../builds/choose.ts'
import { pointToBuild } from '../builds/rules.ts'
import type { ApiConfig } from '../config.ts'
import { refuseIfDisabled } from '../deployments/service.ts'
import { type DeploymentRow, findDeployment, lockDeployment } from '../deployments/store.ts'
import { type Caller, change, userOf } from '../platform/change.ts'
import { type Db, hint, inSubscription, one, type Tx } from '../platform/database.ts'
import { notFound, refusal } from '../platform/errors.ts'
import { findVersion } from '../versions/store.ts'
import { fitItem } from './rules.ts'
import { startItem } from './start.ts'
import * as store from './store.ts'

type Deps = { readonly db: Db; readonly config: Pick<ApiConfig, 'platform'> }

export const scheduleService = ({ db, config }: Deps) => ({
  list: (subscription: string, deployment: string): Promise<ScheduleItemList> =>
    inSubscription(db, subscription, async (tx) => {
      if (!(await findDeployment(tx, deployment))) throw notFound()
      return { items: (await store.listItems(tx, deployment)).map(present) }
    }),

  /** Records what shall run, from when until when; what starts now is requested and queued in the same transaction. */
  create: (caller: Caller, subscription: string, deploymentId: string, request: ScheduleItemRequest): Promise<ScheduleItem> =>
    change(db, caller, subscription, async (tx) => {
      const deployment = await lockDeployment(tx, deploymentId)
      if (!deployment) throw notFound()
      await refuseIfDisabled(tx, deployment)
      const { version, loggingLevel } = request
      const buildId = await chooseBuild(tx, config.platform, deployment, request)
      const item = { deployment, version, buildId, loggingLevel, createdBy: userOf(caller), span: request }
      const { id, startsNow } = await putItem(tx, item)
      const started = { id, subscriptionId: subscription, deploymentId, version, buildId, createdBy: userOf(caller) }
      if (startsNow) await startItem(tx, { ...started, kind: 'deploy' })
      else await hint(tx, 'writer')
      const answer = present(one(await store.findItem(tx, id)))
      return { object: `schedule-item/${id}`, detail: { deployment: deploymentId, ...request }, answer }
    })
})
export type ScheduleService = ReturnType<typeof scheduleService>

export type ItemToPut = {
  readonly deployment: DeploymentRow
  readonly version: number
  readonly buildId: string
  readonly loggingLevel: LoggingLevel | undefined
  readonly createdBy: string
  readonly span: { readonly startsAt?: string; readonly endsAt?: string }
}

/** Writes an item into a deployment's schedule, whose row the caller has locked, and ends what it takes over from. */
export const putItem = async (
  tx: Tx,
  { deployment, version, buildId, loggingLevel, createdBy, span }: ItemToPut
): Promise<{ readonly id: string; readonly startsNow: boolean }> => {
  const now = await store.scheduleNow(tx, deployment.id)
  const wantedStart = span.startsAt === undefined ? now : momentOf(span.startsAt, '/startsAt')
  const startsNow = wantedStart <= now
  const startsAt = startsNow ? now : wantedStart
  const endsAt = span.endsAt === undefined ? null : momentOf(span.endsAt, '/endsAt')
  if (endsAt && endsAt <= startsAt) throw refusal('invalid', 'it ends before it starts', { field: '/endsAt' })

  const fit = fitItem(await store.listOpenItems(tx, deployment.id, now), { startsAt, endsAt }, now)
  if (fit.kind === 'overlaps')
    throw refusal('schedule_overlap', `it overlaps with the item ${fit.with} of this deployment; nothing was changed`)
  await store.closeItems(tx, fit.closes, startsAt, { over: startsNow })
  const id = await store.insertItem(tx, {
    subscriptionId: deployment.subscriptionId,
    deploymentId: deployment.id,
    version,
    buildId,
    startsAt,
    endsAt: fit.endsAt,
    createdBy,
    ...(loggingLevel && { loggingLevel })
  })
  return { id: one(id), startsNow }
}

/** The format allows leap seconds, which no clock of ours shows. */
const momentOf = (text: string, field: string): Date => {
  const moment = new Date(text)
  if (Number.isNaN(moment.getTime())) throw refusal('invalid', `${field} is no moment that can be`, { field })
  return moment
}

/** An item for the answer about another object. */
export const findPresentedItem = async (tx: Tx, id: string): Promise<ScheduleItem | undefined> => {
  const row = await store.findItem(tx, id)
  return row && present(row)
}

const chooseBuild = async (
  tx: Tx,
  platform: string,
  deployment: DeploymentRow,
  request: ScheduleItemRequest
): Promise<string> => {
  const version = await findVersion(tx, deployment.applicationId, request.version)
  if (!version) throw notFound('/version')
  const build = await findBuild(tx, platform, version.kind, request.build)
  if (build) return build.id
  if (request.build) throw notFound('/build')
  throw refusal('no_build', `no build is offered that runs a ${version.kind} application`)
}

const present = ({ item, build }: store.ItemRow): ScheduleItem => ({
  id: item.id,
  deployment: item.deploymentId,
  version: item.version,
  build: pointToBuild(build),
  loggingLevel: item.loggingLevel,
  startsAt: item.startsAt.toISOString(),
  endsAt: item.endsAt?.toISOString() ?? null,
  ...(item.operationId === null ? {} : { operation: item.operationId })
})
