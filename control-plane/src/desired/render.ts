import type { BuildRef } from '@berth/shared/build'
import { canonicalJson, sha256Hex } from '@berth/shared/canonical'
import type { DesiredDeployment, DesiredIndex, DesiredSite, ReleaseRef } from '@berth/shared/desired'
import type { KeepWarm } from '@berth/shared/fields'

/** The rows that a fleet's desired state is made of. Sites and deployments that shall not run are not among them. */
export type FleetRows = {
  readonly fleet: string
  readonly sites: readonly { readonly id: string; readonly subscription: string }[]
  readonly hostNames: readonly { readonly host: string; readonly site: string }[]
  readonly deployments: readonly DeploymentRow[]
  /** Releases with a package for this fleet; one that is named and not here is not shown. */
  readonly releases: readonly ReleaseRow[]
}
export type DeploymentRow = {
  readonly id: string
  readonly site: string
  readonly application: string
  readonly path: string
  readonly keepWarm: KeepWarm
  readonly current: string | null
  readonly preparing: string | null
  readonly warm: string | null
  readonly operation: string | null
  readonly attempt: number
  readonly bake: boolean
}
export type ReleaseRow = {
  readonly id: string
  readonly release: string
  readonly incarnation: number
  readonly package: string
  readonly build: BuildRef
}

/** One message as canonical JSON, known by its digest. */
export type Rendered = { readonly digest: string; readonly json: string }
/** What the store gets: the index, an object a site, and all of them in one for newborns. */
export type Body = { readonly index: Rendered; readonly sites: readonly Rendered[]; readonly snapshot: string }

/** Renders desired state. The same rows, in whatever order, give the same bytes; nothing but rows goes in. */
export const render = (rows: FleetRows): Body => {
  const releases = new Map(rows.releases.map((row) => [row.id, releaseRef(row)]))
  const hostNames = Map.groupBy(rows.hostNames, ({ site }) => site)
  const deployments = Map.groupBy(rows.deployments, ({ site }) => site)
  const sites = rows.sites
    .toSorted((a, b) => compare(a.id, b.id))
    .map((site) => ({
      id: site.id,
      ...rendered(desiredSite(site, hostNames.get(site.id) ?? [], deployments.get(site.id) ?? [], releases))
    }))
  const index: DesiredIndex = {
    format: 1,
    fleet: rows.fleet,
    sites: Object.fromEntries(sites.map(({ id, digest }) => [id, digest]))
  }
  return {
    index: rendered(index),
    sites: sites.map(({ digest, json }) => ({ digest, json })),
    snapshot: sites.map(({ json }) => `${json}\n`).join('')
  }
}

const desiredSite = (
  site: FleetRows['sites'][number],
  hostNames: FleetRows['hostNames'],
  deployments: readonly DeploymentRow[],
  releases: ReadonlyMap<string, ReleaseRef>
): DesiredSite => ({
  format: 1,
  site: site.id,
  subscription: site.subscription,
  hostNames: hostNames.map(({ host }) => host).toSorted(compare),
  deployments: deployments
    .toSorted((a, b) => compare(a.path, b.path))
    .map((row) => desiredDeployment(row, releases))
    .filter(({ current, preparing, warm }) => current !== null || preparing !== null || warm !== null)
})

const desiredDeployment = (row: DeploymentRow, releases: ReadonlyMap<string, ReleaseRef>): DesiredDeployment => {
  const find = (id: string | null) => (id === null ? null : (releases.get(id) ?? null))
  return {
    deployment: row.id,
    application: row.application,
    path: row.path,
    keepWarm: row.keepWarm,
    current: find(row.current),
    preparing: find(row.preparing),
    warm: find(row.warm),
    operation: row.operation,
    attempt: row.attempt,
    bake: row.bake
  }
}

const releaseRef = (row: ReleaseRow): ReleaseRef => ({
  release: row.release,
  id: row.id,
  incarnation: row.incarnation,
  package: row.package,
  build: row.build
})

const rendered = (message: DesiredSite | DesiredIndex): Rendered => {
  const json = canonicalJson(message)
  return { digest: sha256Hex(json), json }
}

/** By code units: no locale of a machine may change the bytes. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
