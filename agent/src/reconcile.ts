import type { Clock } from '@berth/shared/clock'
import { type Lane, type LaneDeps, lane } from './lane.ts'
import type { Observer, Seen } from './observer.ts'
import type { ServerDesired } from './plan/state.ts'
import type { Router } from './router.ts'

const retryMs = 500

export type Reconciler = ReturnType<typeof reconciler>

/**
 * Makes this server match what is desired, each deployment in its own lane. `want` and `look` return at once; the lanes work
 * on. Nothing is removed, and no pool is started, before a desired state is known.
 */
export const reconciler = (
  deps: Omit<LaneDeps, 'observer' | 'clock'> & {
    readonly observer: Observer
    readonly router: Router
    readonly clock: Clock
    readonly address: string
    /** Called once every desired deployment was attempted for the first time: the server is ready. */
    readonly onAttempted: () => Promise<void>
  }
) => {
  const { observer, router, clock } = deps
  const lanes = new Map<string, Lane>()
  const closing = new AbortController()
  let desired: ServerDesired | undefined
  let isSettled = false
  let attempting: Promise<void> | undefined
  let looking: Promise<void> | undefined

  const laneOf = (deployment: string): Lane => {
    const known = lanes.get(deployment)
    if (known) return known
    const made = lane(deployment, { ...deps, onChange: noteChange })
    lanes.set(deployment, made)
    return made
  }

  const noteChange = (): void => {
    deps.onChange()
    for (const [deployment, gone] of lanes)
      if (gone.isGone() && !desired?.[deployment]) {
        lanes.delete(deployment)
        deps.failures.forget(deployment)
      }
    if (!desired || !isSettled || attempting || !Object.keys(desired).every((each) => laneOf(each).isAttempted())) return
    attempting = deps.onAttempted().catch((error) => {
      deps.log(`the server cannot be marked ready: ${error instanceof Error ? error.message : String(error)}`)
      attempting = undefined
    })
  }

  /** Every deployment that is desired, or of which anything is here, looks afresh. */
  const lookAtAll = async (): Promise<void> => {
    if (!desired || !isSettled) return
    const seen = await observer.look()
    for (const deployment of new Set([...Object.keys(desired), ...(await observer.deployments(seen))])) {
      const each = laneOf(deployment)
      each.want(desired[deployment])
      each.wake()
    }
    noteChange()
  }

  /** What the host showed of each deployment at the last hint. */
  let shown: ReadonlyMap<string, string> = new Map()

  return {
    /**
     * Before anything is started: routes whose workers are gone (a reboot) are closed, since a port in the table may soon
     * be another deployment's. Tried until the front's table is right.
     */
    settle: async (): Promise<void> => {
      while (!isSettled && !closing.signal.aborted)
        try {
          await closeDead(router, await observer.look(), deps.address)
          isSettled = true
        } catch (error) {
          deps.log(`the front's table cannot be settled yet: ${error instanceof Error ? error.message : String(error)}`)
          await clock.wait(retryMs, closing.signal)
        }
    },
    /** From now on this is desired. */
    want: (next: ServerDesired): void => {
      desired = next
      if (!isSettled) return
      // What is already under way here hears of it at once; the rest is found by the look.
      for (const [deployment, known] of lanes) known.want(next[deployment])
      for (const deployment of Object.keys(next)) laneOf(deployment).want(next[deployment])
      noteChange()
    },
    /** A full observation, now. Asked again while one is under way, that one is enough. */
    look: (): Promise<void> => {
      looking ??= lookAtAll()
        .catch((error) => deps.log(`the server cannot be looked at: ${error instanceof Error ? error.message : String(error)}`))
        .finally(() => {
          looking = undefined
        })
      return looking
    },
    /** Something changed on the host: only the deployments of which it shows something else look afresh. */
    hint: async (): Promise<void> => {
      if (!desired || !isSettled) return
      try {
        const now = shownBy(await observer.look())
        for (const deployment of new Set([...shown.keys(), ...now.keys()]))
          if (shown.get(deployment) !== now.get(deployment)) laneOf(deployment).wake()
        shown = now
      } catch {
        // It was only a hint; the next full look finds the same.
      }
    },
    /** Wakes what waited for its time. Cheap: called at every poll. */
    tick: (): void => {
      const now = clock.now().getTime()
      for (const each of lanes.values()) if (each.isDue(now)) each.wake()
    },
    isAtRest: (): boolean => [...lanes.values()].every((each) => each.isAtRest()),
    states: () => [...lanes.values()].map((each) => ({ deployment: each.deployment, ...each.state() })),
    close: async (): Promise<void> => {
      closing.abort()
      await Promise.all([...lanes.values()].map((each) => each.close()))
    }
  }
}

/** The pools of each deployment, as text that can be compared. */
const shownBy = ({ pools }: Seen): ReadonlyMap<string, string> => {
  const byDeployment = new Map<string, string>()
  for (const pool of pools) byDeployment.set(pool.deployment, `${byDeployment.get(pool.deployment) ?? ''}${JSON.stringify(pool)}`)
  return byDeployment
}

/** Takes from every route the workers that are gone; a route that is left with none answers 503. */
const closeDead = async (router: Router, seen: Seen, address: string): Promise<void> => {
  const open = new Set(
    seen.pools.flatMap(({ deployment, release, workers }) =>
      workers.map(({ port }) => `${deployment} ${release} ${address}:${port}`)
    )
  )
  const served = router
    .deployments()
    .flatMap((deployment) => router.find(deployment) ?? [])
    .filter(({ failed }) => !failed)
  const mended = served.map((route) => ({
    ...route,
    upstreams: route.upstreams.filter(({ host, port }) => open.has(`${route.deployment} ${route.release} ${host}:${port}`))
  }))
  const changed = mended.filter((route, n) => route.upstreams.length !== served[n]?.upstreams.length)
  if (changed.length === 0) return
  // A server on which nothing that was routed still runs has been started anew: it is not ready until all was attempted.
  const wasRebooted = mended.every(({ upstreams }) => upstreams.length === 0)
  await Promise.all([
    wasRebooted ? router.setReady(false) : undefined,
    ...changed.map((route) => router.set(route.deployment, route.upstreams.length > 0 ? route : { ...route, failed: true }))
  ])
}
