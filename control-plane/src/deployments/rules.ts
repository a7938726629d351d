import type { ReleasePointer } from '@berth/shared/api/common'
import type { ServerStatus } from '@berth/shared/api/deployments'
import type { Probe, Settings } from '@berth/shared/fields'
import type { ObservedDeployment } from '@berth/shared/observed'

const settingsBytesMax = 128 * 1024
/** Workers are told these by their server. */
const ownSettings = new Set(['HOST', 'PORT'])

/** Why a deployment cannot be run with this; nothing when it can. */
export const whyNotRun = ({
  settings,
  probe
}: {
  readonly settings: Settings
  readonly probe: Probe
}): { readonly field: string; readonly message: string } | undefined => {
  const own = Object.keys(settings).find((name) => ownSettings.has(name.toUpperCase()))
  if (own !== undefined) return { field: `/settings/${own}`, message: `${own} is set by the server that runs the application` }
  const bytes = Buffer.byteLength(JSON.stringify(settings))
  if (bytes > settingsBytesMax)
    return { field: '/settings', message: `the settings have ${bytes} bytes; ${settingsBytesMax} is the most` }
  if (/^\/\.berth(\/|$)/.test(probe.path))
    return { field: '/probe/path', message: 'paths below /.berth never reach an application' }
  return undefined
}

/** Why nothing can be served at this path; nothing when it can. Browsers resolve dots before they ask. */
export const whyNotPath = (path: string): string | undefined => {
  const segments = path.split('/')
  if (segments.some((segment) => segment === '.' || segment === '..')) return 'a path has no `.` and no `..` in it'
  return segments[1] === '.berth' ? 'paths below /.berth never reach an application' : undefined
}

const nameMax = 100

/** Names for a deployment that nobody named, the nicest first: the application's, its path, the site, then numbers. */
export const namesFor = (application: string, site: string, path: string): string[] => {
  const name = path === '/' ? application : `${application} ${path}`
  const more = [`${name} on ${site}`, ...Array.from({ length: 20 }, (_, index) => `${name} ${index + 2}`)]
  return [name, ...more].map((text) => (text.length <= nameMax ? text : text.slice(-nameMax).trimStart()))
}

type Member = {
  readonly server: string
  readonly zone: string
  readonly observed: ObservedDeployment | null
  readonly reportedAt: Date | null
}

/**
 * What one server does for a deployment, measured by the release that it shall run (`wanted`): running it, having it in hand,
 * having failed at it, or not having said anything of it yet.
 */
export const serverStatus = (
  { server, zone, observed, reportedAt }: Member,
  wanted: string | null,
  releases: ReadonlyMap<string, ReleasePointer>
): ServerStatus => {
  const routed = observed?.routed ?? null
  const pool = observed?.pools.find(({ release }) => release === wanted)
  const failed =
    pool?.state === 'failed' ? pool : wanted === null ? observed?.pools.find(({ state }) => state === 'failed') : undefined
  const running = routed === null ? undefined : releases.get(routed)
  return {
    server,
    zone,
    state: stateOf(routed, wanted, failed !== undefined, pool !== undefined),
    ...running,
    ...(failed?.reason && { reason: failed.reason }),
    ...(reportedAt && { reportedAt: reportedAt.toISOString() })
  }
}

const stateOf = (routed: string | null, wanted: string | null, failed: boolean, inHand: boolean): ServerStatus['state'] => {
  if (routed !== null && (routed === wanted || wanted === null)) return 'running'
  if (failed) return 'failed'
  return inHand ? 'installing' : 'pending'
}
