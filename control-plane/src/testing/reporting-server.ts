import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { type DesiredDeployment, type Head, parseDesiredIndex, parseDesiredSite, parseHead } from '@berth/shared/desired'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import type { Observed, ObservedDeployment } from '@berth/shared/observed'
import { openStatement } from '@berth/shared/trust'
import { findRoot } from '../trust/roots.ts'

const decompress = promisify(zstdDecompress)

/** The head and the deployments of a fleet's desired state, verified as an agent verifies them. */
export const readDesired = async (objects: Objects, fleet: string): Promise<{ head: Head; deployments: DesiredDeployment[] }> => {
  const read = async (key: string) => {
    const bytes = await getBytes(objects, key)
    if (!bytes) throw new Error(`${key} is not there`)
    return bytes
  }
  const trusted = await findRoot(objects, 1)
  if (!trusted) throw new Error('no root')
  const head = parseHead(openStatement(trusted.root, await read(layout.head(fleet)), 'head'))
  const index = parseDesiredIndex(await decompress(await read(layout.desired(fleet, head.digest))))
  const sites = await Promise.all(
    Object.values(index.sites).map(async (digest) =>
      parseDesiredSite(await decompress(await read(layout.desired(fleet, digest))))
    )
  )
  return { head, deployments: sites.flatMap(({ deployments }) => deployments) }
}

/** How a server fares with one deployment. */
export type Fares = (desired: DesiredDeployment) => Partial<ObservedDeployment>

/** All goes well: what is to be prepared is ready, what is current is routed, what is warm is frozen. */
export const faresWell: Fares = () => ({})

/** A server that has looked at its fleet's desired state and reports how it fared: everything an agent says, with nothing behind it. */
export const report = async (objects: Objects, fleet: string, server: string, fares: Fares = faresWell): Promise<void> => {
  const { head, deployments } = await readDesired(objects, fleet)
  const observed: Observed = {
    format: 1,
    fleet,
    server,
    zone: 'local-a',
    agent: '0.1.0',
    at: new Date().toISOString(),
    generation: head.generation,
    digest: head.digest,
    head: 'current',
    refusals: [],
    ready: true,
    notIsolated: [],
    builds: [],
    deployments: deployments.map((desired) => ({ ...farePlainly(desired), ...fares(desired) }))
  }
  await objects.put(layout.observed(fleet, server), Buffer.from(JSON.stringify(observed)))
}

const farePlainly = ({ deployment, current, preparing, warm, operation, attempt }: DesiredDeployment): ObservedDeployment => ({
  deployment,
  routed: current?.release ?? null,
  operation,
  attempt,
  pools: [
    ...(current ? [{ release: current.release, state: 'ready' as const, restarts: 0 }] : []),
    ...(preparing && preparing.release !== current?.release
      ? [{ release: preparing.release, state: 'ready' as const, restarts: 0 }]
      : []),
    ...(warm && !preparing ? [{ release: warm.release, state: 'frozen' as const, restarts: 0 }] : [])
  ]
})
