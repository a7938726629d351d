import { pick } from '../names.ts'
import type { Session } from '../session.ts'
import { byteText, table } from '../text.ts'

/** Everything here only reads: one call or two, and a table of the answer. */

export const listApplications = async ({ output, subscription }: Session): Promise<void> => {
  const items = await subscription.applications()
  const rows = items.map(({ name, status, lastVersion, id }) => [name, status, lastVersion === 0 ? '-' : String(lastVersion), id])
  output.result({ items }, table(['NAME', 'STATUS', 'LAST VERSION', 'ID'], rows))
}

export const listVersions = async ({ output, subscription }: Session, wanted: string): Promise<void> => {
  const application = pick('application', await subscription.applications(), wanted)
  const items = (await subscription.versions(application.id)).toSorted((a, b) => b.number - a.number)
  const rows = items.map(({ number, kind, files, bytes, publishedAt, manifest, note }) => [
    String(number),
    kind,
    String(files),
    byteText(bytes),
    publishedAt,
    manifest.slice(0, 12),
    note ?? ''
  ])
  output.result({ application, items }, table(['VERSION', 'KIND', 'FILES', 'SIZE', 'PUBLISHED', 'MANIFEST', 'NOTE'], rows))
}

export const listSites = async ({ output, subscription }: Session): Promise<void> => {
  const items = await subscription.sites()
  const rows = items.map(({ name, status, region, addresses, hostNames, id }) => [
    name,
    status,
    region,
    id,
    (addresses.length > 0 ? addresses : hostNames).join(' ')
  ])
  output.result({ items }, table(['NAME', 'STATUS', 'REGION', 'ID', 'ADDRESSES'], rows))
}

export const listDeployments = async ({ output, subscription }: Session): Promise<void> => {
  const [items, applications, sites] = await Promise.all([
    subscription.deployments(),
    subscription.applications(),
    subscription.sites()
  ])
  const nameOf = (things: readonly { id: string; name: string }[], wanted: string) =>
    things.find(({ id }) => id === wanted)?.name ?? wanted
  const rows = items.map(({ name, status, application, site, path, addresses, id }) => [
    name,
    status,
    nameOf(applications, application),
    nameOf(sites, site),
    path,
    id,
    addresses.join(' ')
  ])
  output.result({ items }, table(['NAME', 'STATUS', 'APPLICATION', 'SITE', 'PATH', 'ID', 'ADDRESSES'], rows))
}

export const listBuilds = async ({ output, client }: Session): Promise<void> => {
  const items = await client.builds()
  const rows = items.map(({ name, version, platform, status, size }) => [name, version, platform, status, byteText(size)])
  output.result({ items }, table(['NAME', 'VERSION', 'PLATFORM', 'STATUS', 'SIZE'], rows))
}
