import type { Deployment, DeploymentList, DeploymentPatch, DeploymentRequest } from '@berth/shared/api/deployments'
import { defaultPool, defaultProbe, type KeepWarm } from '@berth/shared/fields'
import { findAccount } from '../accounts/store.ts'
import { findApplication } from '../applications/store.ts'
import type { ApiConfig } from '../config.ts'
import { supersedeOpen } from '../operations/steps.ts'
import { insertOperation } from '../operations/store.ts'
import { type Caller, change, userOf } from '../platform/change.ts'
import { type Db, hint, inSubscription, one, type Tx, violatedUnique } from '../platform/database.ts'
import { notFound, refusal } from '../platform/errors.ts'
import { addressOf } from '../sites/rules.ts'
import { findSite, hostNamesOf } from '../sites/store.ts'
import { namesFor, whyNotPath, whyNotRun } from './rules.ts'
import * as store from './store.ts'

export type DeploymentDeps = {
  readonly db: Db
  readonly config: Pick<ApiConfig, 'entry'>
}

const defaultKeepWarm: KeepWarm = 'frozen'
const defaultBakeSeconds = 60

export const deploymentService = ({ db, config }: DeploymentDeps) => ({
  list: (subscription: string): Promise<DeploymentList> =>
    inSubscription(db, subscription, async (tx) => ({
      items: await presentDeployments(tx, await store.listDeployments(tx), config)
    })),

  get: (subscription: string, id: string): Promise<Deployment> =>
    inSubscription(db, subscription, async (tx) => {
      const row = await store.findDeployment(tx, id)
      if (!row) throw notFound()
      return presentDeployment(tx, row, config)
    }),

  /** Joins an application, a site and a path. Nothing runs until a schedule item says what. */
  create: (caller: Caller, subscription: string, request: DeploymentRequest): Promise<Deployment> =>
    change(db, caller, subscription, async (tx) => {
      const { row, names } = await newDeployment(tx, subscription, request)
      const inserted = await insertNamed(tx, row, names)
      return {
        object: `deployment/${inserted.id}`,
        detail: { name: inserted.name, application: inserted.applicationId, site: inserted.siteId, path: inserted.path },
        answer: await presentDeployment(tx, inserted, config)
      }
    }),

  /** Changes what the next release runs with; a new status is an operation, which takes it off its servers or puts it back. */
  change: (caller: Caller, subscription: string, id: string, patch: DeploymentPatch): Promise<Deployment> =>
    change(db, caller, subscription, async (tx) => {
      const row = await store.lockDeployment(tx, id)
      if (!row) throw notFound()
      const { status = row.status, ...runs } = patch
      const changes = { ...withDefaults(runs, row), status }
      refuseBadRun(changes)
      const changed = one(await store.updateDeployment(tx, id, changes))
      const operation = status === row.status ? undefined : await switchStatus(tx, changed, caller)
      return {
        object: `deployment/${id}`,
        // What people set may be what they must not show: names only.
        detail: { changed: Object.keys(patch), ...(status === row.status ? {} : { status, operation }) },
        answer: { ...(await presentDeployment(tx, changed, config)), ...(operation !== undefined && { operation }) }
      }
    })
})
export type DeploymentService = ReturnType<typeof deploymentService>

/** Refuses to start anything where the deployment, or what it hangs off, is disabled. */
export const refuseIfDisabled = async (tx: Tx, deployment: store.DeploymentRow): Promise<void> => {
  const statuses = { deployment: deployment.status, ...one(await store.statusesAbove(tx, deployment)) }
  const [disabled] = Object.entries(statuses).find(([, status]) => status === 'disabled') ?? []
  if (disabled !== undefined) throw refusal('disabled', `the ${disabled} is disabled; nothing was changed`)
}

/** Deployments as the API tells them. */
export const presentDeployments = async (
  tx: Tx,
  rows: readonly store.DeploymentRow[],
  { entry }: DeploymentDeps['config']
): Promise<Deployment[]> => {
  const hosts = await hostNamesOf(tx, [...new Set(rows.map(({ siteId }) => siteId))])
  return rows.map((row) => ({
    id: row.id,
    account: row.accountId,
    application: row.applicationId,
    site: row.siteId,
    name: row.name,
    path: row.path,
    status: row.status,
    settings: row.settings,
    probe: row.probe,
    pool: row.pool,
    keepWarm: row.keepWarm,
    bakeSeconds: row.bakeSeconds,
    addresses: (hosts.get(row.siteId) ?? []).map((host) => `${addressOf(host, entry)}${row.path}`),
    createdAt: row.createdAt.toISOString()
  }))
}

export const presentDeployment = async (
  tx: Tx,
  row: store.DeploymentRow,
  config: DeploymentDeps['config']
): Promise<Deployment> => one((await presentDeployments(tx, [row], config))[0])

const newDeployment = async (tx: Tx, subscriptionId: string, request: DeploymentRequest) => {
  const badPath = whyNotPath(request.path)
  if (badPath !== undefined) throw refusal('invalid', badPath, { field: '/path' })
  const application = await findApplication(tx, request.application)
  if (!application) throw notFound('/application')
  const site = await findSite(tx, request.site)
  if (!site) throw notFound('/site')
  const account = await findAccount(tx, request.account ?? application.accountId)
  if (!account) throw notFound('/account')
  if (request.path !== '/' && !(await store.hasRoot(tx, site.id)))
    throw refusal('no_root_deployment', 'a site needs a deployment at / before one below it', { field: '/path' })

  const runs = withDefaults(request, {
    settings: {},
    probe: defaultProbe,
    pool: defaultPool,
    keepWarm: defaultKeepWarm,
    bakeSeconds: defaultBakeSeconds
  })
  refuseBadRun(runs)
  const { path, name } = request
  const row = { subscriptionId, accountId: account.id, applicationId: application.id, siteId: site.id, path, ...runs }
  return { row, names: name === undefined ? namesFor(application.name, site.name, path) : [name] }
}

const insertNamed = async (
  tx: Tx,
  row: Omit<Parameters<typeof store.insertDeployment>[1], 'name'>,
  names: readonly string[]
): Promise<store.DeploymentRow> => {
  try {
    for (const name of names) {
      const inserted = await store.insertDeployment(tx, { ...row, name })
      if (inserted) return inserted
    }
  } catch (error) {
    if (violatedUnique(error) !== 'deployments_path') throw error
    throw refusal('path_taken', 'the site has a deployment at this path', { field: '/path' })
  }
  throw refusal('name_taken', 'the account has a deployment of this name; choose another', { field: '/name' })
}

type Runs = Pick<store.DeploymentRow, 'settings' | 'probe' | 'pool' | 'keepWarm' | 'bakeSeconds'>

/** Settings are replaced as a whole, so that one can be taken away; of probe and pool just the fields that are named. */
const withDefaults = (wanted: Omit<DeploymentPatch, 'status'>, known: Runs): Runs => ({
  settings: wanted.settings ?? known.settings,
  probe: { ...known.probe, ...wanted.probe },
  pool: { ...known.pool, ...wanted.pool },
  keepWarm: wanted.keepWarm ?? known.keepWarm,
  bakeSeconds: wanted.bakeSeconds ?? known.bakeSeconds
})

const refuseBadRun = (runs: Runs): void => {
  const why = whyNotRun(runs)
  if (why) throw refusal('invalid', why.message, { field: why.field })
}

/** The row says what shall be; the operation tells when the fleet is there. */
const switchStatus = async (tx: Tx, row: store.DeploymentRow, caller: Caller): Promise<string> => {
  await supersedeOpen(tx, row.id)
  const operation = await insertOperation(tx, {
    subscriptionId: row.subscriptionId,
    deploymentId: row.id,
    kind: row.status === 'disabled' ? 'disable' : 'enable',
    releaseId: row.status === 'disabled' ? null : row.liveReleaseId,
    createdBy: userOf(caller)
  })
  await hint(tx, 'writer')
  return one(operation)
}
