import type { Builds } from './install/builds.ts'
import type { Packages } from './packages/packages.ts'
import type { Reconciler } from './reconcile.ts'
import type { LaneState } from './report.ts'
import type { DesiredReader } from './store/desired-reader.ts'

/** Removes what no desired release needs, once everything that is desired stands. */
export const sweeper =
  ({
    reader,
    reconciler,
    packages,
    builds
  }: {
    readonly reader: Pick<DesiredReader, 'held'>
    readonly reconciler: { readonly isAtRest: Reconciler['isAtRest']; readonly states: () => readonly LaneState[] }
    readonly packages: Pick<Packages, 'sweep'>
    readonly builds: Pick<Builds, 'sweep'>
  }) =>
  async (): Promise<void> => {
    const held = reader.held()
    if (!held || !reconciler.isAtRest()) return
    const refs = held.sites.flatMap(({ deployments }) =>
      deployments.flatMap(({ current, preparing, warm }) => [current, preparing, warm].filter((ref) => ref !== null))
    )
    await packages.sweep(refs)
    // Where the new release failed for good, an older one may serve that is named no more: its worker's build must stay.
    if (reconciler.states().every(isNamed)) await builds.sweep(refs.map(({ build }) => build))
  }

/** Whether desired state names every release that runs or is routed here. */
const isNamed = ({ desired, view }: LaneState): boolean => {
  const named = [desired?.current, desired?.preparing, desired?.warm].map((ref) => ref?.release)
  const here = view.pools.map(({ release }) => release)
  return [...here, ...(view.route && !view.route.failed ? [view.route.release] : [])].every((release) => named.includes(release))
}
