import type { ObservedDeployment } from '@berth/shared/observed'
import { builds } from '../builds/schema.ts'
import { fleets, observedServers, servers } from '../fleets/schema.ts'
import type { Db } from '../platform/database.ts'
import { one } from '../platform/database.ts'
import { versions } from '../versions/schema.ts'
import type { TestTenant } from './api.ts'

const digest = (letter: string): string => letter.repeat(64)

/** What other services would have made, written by the owner of the tables. */
export const putBuild = async (owner: Db, name: string, version: string): Promise<string> => {
  const row = { name, version, platform: 'linux-x64', digest: digest('b'), size: 1000 }
  return one((await owner.insert(builds).values(row).returning())[0]).id
}

export const putVersion = async (
  owner: Db,
  { subscription, user }: TestTenant,
  application: string,
  { number, kind = 'static' }: { number: number; kind?: 'static' | 'node' }
): Promise<void> => {
  await owner.insert(versions).values({
    subscriptionId: subscription,
    applicationId: application,
    number,
    manifest: digest('a'),
    kind,
    files: 3,
    bytes: 100,
    publishedBy: user,
    uploadId: crypto.randomUUID()
  })
}

export const putFleet = async (owner: Db, id: string, members: readonly string[]): Promise<void> => {
  await owner
    .insert(fleets)
    .values({ id, tenancy: 'public', region: 'local', cell: 'c-1', servers: members.length, status: 'active' })
  for (const [index, server] of members.entries())
    await owner.insert(servers).values({ fleetId: id, server, zone: `local-${'abc'[index]}`, state: 'healthy' })
}

/** The report of a server, as the writer would have kept it. */
export const putReport = async (owner: Db, fleet: string, server: string, deployments: ObservedDeployment[]): Promise<void> => {
  const report = {
    format: 1,
    fleet,
    server,
    zone: 'local-a',
    agent: '0.1.0',
    at: new Date().toISOString(),
    generation: 7,
    digest: digest('d'),
    head: 'current',
    refusals: [],
    ready: true,
    notIsolated: [],
    builds: [],
    deployments
  } as const
  const row = {
    fleetId: fleet,
    server,
    etag: '"1"',
    report: { ...report, refusals: [], notIsolated: [], builds: [] },
    reportedAt: new Date()
  }
  await owner
    .insert(observedServers)
    .values(row)
    .onConflictDoUpdate({ target: [observedServers.fleetId, observedServers.server], set: row })
}

/** An application, a site and the deployment that joins them at `/`, made through the API. */
export const putDeployment = async ({ send, below }: TestTenant, name: string) => {
  const application: string = (await send('POST', `${below}/applications`, { name })).body.id
  const site: string = (await send('POST', `${below}/sites`, { name })).body.id
  const made = await send('POST', `${below}/deployments`, { application, site, path: '/' })
  return { application, site, deployment: String(made.body.id), path: `${below}/deployments/${made.body.id}` }
}
