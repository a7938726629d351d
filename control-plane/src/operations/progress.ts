import type { Operation } from '@berth/shared/api/operations'
import type { ObservedDeployment } from '@berth/shared/observed'

/** How far a fleet is with a release: of its servers, how many have a good pool of it, and how many send requests to it. */
export const progressOf = (
  digest: string | null,
  servers: readonly { readonly observed: ObservedDeployment | null }[]
): Operation['progress'] => ({
  ready: servers.filter(({ observed }) => hasReady(observed, digest)).length,
  routed: servers.filter(({ observed }) => isRouted(observed, digest)).length,
  of: servers.length
})

/** Without a digest (a disable) a server is where it shall be when it routes nothing. */
const isRouted = (observed: ObservedDeployment | null, digest: string | null): boolean => (observed?.routed ?? null) === digest

const hasReady = (observed: ObservedDeployment | null, digest: string | null): boolean =>
  isRouted(observed, digest) ||
  (observed?.pools ?? []).some(({ release, state }) => release === digest && (state === 'ready' || state === 'frozen'))
