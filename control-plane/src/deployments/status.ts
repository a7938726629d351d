import type { ReleasePointer } from '@berth/shared/api/common'
import type { DeploymentStatus } from '@berth/shared/api/deployments'
import { presentOperation } from '../operations/service.ts'
import { openStates } from '../operations/steps.ts'
import { findLastOperation, listObserved, type ObservedRow, type OperationRow } from '../operations/store.ts'
import { inSubscription, type Tx } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import { findRelease, findReleases, type ReleaseRow } from '../releases/store.ts'
import { serverStatus } from './rules.ts'
import { type DeploymentDeps, presentDeployment } from './service.ts'
import { findDeployment } from './store.ts'

/** What is asked for and what is, per server: requested against actual state. */
export const deploymentStatus =
  ({ db, config }: DeploymentDeps) =>
  (subscription: string, id: string): Promise<DeploymentStatus> =>
    inSubscription(db, subscription, async (tx) => {
      const row = await findDeployment(tx, id)
      if (!row) throw notFound()
      const [last, observed] = [await findLastOperation(tx, id), await listObserved(tx, id)]
      const find = (release: string | null) => (release === null ? undefined : findRelease(tx, id, release))
      const [live, warm] = [await find(row.liveReleaseId), await find(row.warmReleaseId)]
      const requested = (isOpen(last) ? await find(last.operation.releaseId) : undefined) ?? live
      const known = await findObservedReleases(tx, id, observed)
      return {
        deployment: await presentDeployment(tx, row, config),
        ...(live && { live: pointTo(live) }),
        ...(requested && row.status === 'active' ? { requested: pointTo(requested) } : {}),
        ...(last && { operation: presentOperation(last, observed) }),
        servers: observed.map((member) => serverStatus(member, requested?.digest ?? null, known)),
        ...(warm && { warm: pointTo(warm) })
      }
    })

const isOpen = (last: OperationRow | undefined): last is OperationRow =>
  last !== undefined && openStates.some((state) => state === last.operation.state)

const findObservedReleases = async (
  tx: Tx,
  deployment: string,
  observed: readonly ObservedRow[]
): Promise<ReadonlyMap<string, ReleasePointer>> => {
  const digests = new Set(observed.flatMap((row) => row.observed?.routed ?? []))
  const rows = await findReleases(tx, deployment, [...digests])
  return new Map(rows.map((row) => [row.digest ?? '', pointTo(row)]))
}

const pointTo = ({ id, version }: ReleaseRow): ReleasePointer => ({ version, release: id })
