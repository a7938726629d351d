import type { Operation } from '@berth/shared/api/operations'
import type { ReleaseList, RollbackRequest } from '@berth/shared/api/releases'
import { pointToBuild } from '../builds/rules.ts'
import { refuseIfDisabled } from '../deployments/service.ts'
import { type DeploymentRow, findDeployment, lockDeployment } from '../deployments/store.ts'
import { presentOperation } from '../operations/service.ts'
import { findOperation, listObserved } from '../operations/store.ts'
import { type Caller, change, userOf } from '../platform/change.ts'
import { type Db, inSubscription, one, type Tx } from '../platform/database.ts'
import { notFound, refusal } from '../platform/errors.ts'
import { putItem } from '../schedules/service.ts'
import { startItem } from '../schedules/start.ts'
import { findSite } from '../sites/store.ts'
import { isPackagedFor, rollbackTarget } from './rules.ts'
import * as store from './store.ts'

export const releaseService = ({ db }: { readonly db: Db }) => ({
  list: (subscription: string, deployment: string): Promise<ReleaseList> =>
    inSubscription(db, subscription, async (tx) => {
      if (!(await findDeployment(tx, deployment))) throw notFound()
      const rows = await store.listReleases(tx, deployment)
      return {
        items: rows.map(({ release, build }) => ({
          id: release.id,
          version: release.version,
          build: pointToBuild(build),
          digest: release.digest,
          status: release.status,
          wasLive: release.wasLive,
          createdAt: release.createdAt.toISOString()
        }))
      }
    }),

  /** Goes back. Where the fleet holds the release's package already, the writer can switch at once. */
  rollBack: (caller: Caller, subscription: string, deploymentId: string, request: RollbackRequest): Promise<Operation> =>
    change(db, caller, subscription, async (tx) => {
      const deployment = await lockDeployment(tx, deploymentId)
      if (!deployment) throw notFound()
      await refuseIfDisabled(tx, deployment)
      const target = await chooseTarget(tx, deployment, request)
      const release = await placeRelease(tx, deployment, target)
      const operationId = await queue(tx, deployment, release, userOf(caller))
      const operation = one(await findOperation(tx, operationId))
      return {
        object: `deployment/${deploymentId}`,
        detail: { operation: operationId, release: release.id, version: release.version },
        answer: presentOperation(operation, await listObserved(tx, deploymentId))
      }
    })
})
export type ReleaseService = ReturnType<typeof releaseService>

const chooseTarget = async (
  tx: Tx,
  deployment: DeploymentRow,
  { release: wanted }: RollbackRequest
): Promise<store.ReleaseRow> => {
  const { id, liveReleaseId } = deployment
  const current = liveReleaseId === null ? undefined : await store.findRelease(tx, id, liveReleaseId)
  if (wanted === undefined) {
    const target = rollbackTarget(await store.listOnceLive(tx, id), current)
    if (target) return target
    throw refusal('nothing_to_roll_back_to', 'no other release of this deployment was ever live')
  }
  const target = await store.findRelease(tx, id, wanted)
  if (!target) throw notFound('/release')
  if (target.status === 'failed') throw refusal('release_failed', 'this release could never be packaged', { field: '/release' })
  if (target.id === current?.id) throw refusal('already_live', 'this release is live', { field: '/release' })
  if (!target.wasLive)
    throw refusal('nothing_to_roll_back_to', 'this release was never live; deploy its version instead', { field: '/release' })
  return target
}

/** A package is one fleet's: where the site has moved since, the sealer makes another. */
const placeRelease = async (tx: Tx, { siteId }: DeploymentRow, target: store.ReleaseRow): Promise<store.ReleaseRow> => {
  const site = one(await findSite(tx, siteId))
  if (isPackagedFor(target, site.fleetId)) return target
  return one(await store.requestAgain(tx, target))
}

/** The schedule says what runs: going back is an item too. */
const queue = async (tx: Tx, deployment: DeploymentRow, release: store.ReleaseRow, createdBy: string): Promise<string> => {
  const { subscriptionId, id: deploymentId } = deployment
  const { version, buildId } = release
  const item = await putItem(tx, { deployment, version, buildId, loggingLevel: undefined, createdBy, span: {} })
  const started = { id: item.id, subscriptionId, deploymentId, kind: 'rollback', releaseId: release.id, createdBy } as const
  return (await startItem(tx, started)).operationId
}
