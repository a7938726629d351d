import { randomInt } from 'node:crypto'
import type { Site, SiteList, SiteRequest } from '@berth/shared/api/sites'
import type { ApiConfig } from '../config.ts'
import { type Caller, change } from '../platform/change.ts'
import { type Db, inSubscription, type Tx } from '../platform/database.ts'
import { notFound, refusal } from '../platform/errors.ts'
import { addressOf, isPlatformLabel, labelOf, whyNotChosen, whyNotHostName } from './rules.ts'
import * as store from './store.ts'

type Deps = { readonly db: Db; readonly config: Pick<ApiConfig, 'domain' | 'region' | 'entry'> }

export const siteService = ({ db, config }: Deps) => ({
  list: (subscription: string): Promise<SiteList> =>
    inSubscription(db, subscription, async (tx) => ({ items: await presentAll(tx, await store.listSites(tx), config) })),

  get: (subscription: string, id: string): Promise<Site> =>
    inSubscription(db, subscription, async (tx) => {
      const [site] = await presentAll(tx, [await store.findSite(tx, id)].filter(isThere), config)
      if (!site) throw notFound()
      return site
    }),

  /** Makes a site with its host name. It has no fleet until something is deployed on it. */
  create: (caller: Caller, subscription: string, { name, hostName }: SiteRequest): Promise<Site> => {
    const whyNot = hostName === undefined ? undefined : (whyNotHostName(hostName) ?? whyNotChosen(hostName, config.domain))
    return change(db, caller, subscription, async (tx) => {
      if (whyNot !== undefined) throw refusal('invalid', `not a host name for a site: ${whyNot}`, { field: '/hostName' })
      const row = await store.insertSite(tx, { subscriptionId: subscription, name, region: config.region })
      if (!row) throw refusal('name_taken', 'the subscription has a site of this name', { field: '/name' })
      const host = await claimHostName(tx, row, hostName, config.domain)
      return {
        object: `site/${row.id}`,
        detail: { name, host },
        answer: present(row, [host], config)
      }
    })
  }
})
export type SiteService = ReturnType<typeof siteService>

const generatedTriesMax = 8

const claimHostName = async (tx: Tx, site: store.SiteRow, wanted: string | undefined, domain: string): Promise<string> => {
  const row = { subscriptionId: site.subscriptionId, siteId: site.id, generated: wanted === undefined }
  if (wanted !== undefined) {
    if (await store.claimHostName(tx, { ...row, host: wanted })) return wanted
    throw refusal('host_taken', 'this host name belongs to a site already', { field: '/hostName' })
  }
  const label = labelOf(site.name)
  for (let tries = 0; tries < generatedTriesMax; tries++) {
    const host = tries === 0 && !isPlatformLabel(label) ? `${label}.${domain}` : `${label}-${randomSuffix()}.${domain}`
    if (await store.claimHostName(tx, { ...row, host })) return host
  }
  throw new Error(`no free host name for ${label} after ${generatedTriesMax} tries`)
}

const randomSuffix = (): string =>
  randomInt(36 ** 4)
    .toString(36)
    .padStart(4, '0')

const presentAll = async (tx: Tx, rows: readonly store.SiteRow[], config: Deps['config']): Promise<Site[]> => {
  const hosts = await store.hostNamesOf(
    tx,
    rows.map(({ id }) => id)
  )
  return rows.map((row) => present(row, hosts.get(row.id) ?? [], config))
}

const present = (row: store.SiteRow, hosts: readonly string[], { entry }: Deps['config']): Site => ({
  id: row.id,
  name: row.name,
  region: row.region,
  tenancy: row.tenancy,
  status: row.status,
  hostNames: [...hosts],
  fleet: row.fleetId,
  addresses: hosts.map((host) => addressOf(host, entry))
})

const isThere = <T>(value: T | undefined): value is T => value !== undefined
