import type { FrontRoute, FrontTable, Host } from './host/host.ts'

/** No table has this generation. */
const unknown = -1

export type Router = ReturnType<typeof router>

/**
 * The one place that writes the front's table. Deployments change their own route side by side; changes that come while a
 * table is on its way travel together in the next one.
 */
export const router = (host: Pick<Host, 'route'>) => {
  const routes = new Map<string, FrontRoute>()
  let generation = 0
  let isReady = false
  /** The table that is known to be the front's; another one in an observation means that ours did not arrive, or was lost. */
  let arrived: number | undefined
  let sending: Promise<void> = Promise.resolve()
  let queued: Promise<void> | undefined
  let isIdle = true

  const send = async (): Promise<void> => {
    isIdle = false
    generation++
    const sent = generation
    try {
      await host.route({ generation: sent, ready: isReady, routes: withoutShadows([...routes.values()]) })
      arrived = sent
    } catch (error) {
      // Whether it came is unknown: the next observation says what the front has.
      arrived = unknown
      throw error
    } finally {
      isIdle = true
    }
  }
  const flush = (): Promise<void> => {
    queued ??= sending
      .catch(() => undefined)
      .then(() => {
        queued = undefined
        sending = send()
        return sending
      })
    return queued
  }

  return {
    find: (deployment: string): FrontRoute | undefined => routes.get(deployment),
    deployments: (): string[] => [...routes.keys()],
    isReady: (): boolean => isReady,
    /** Resolves when the front has it, durably. Without a route the deployment leaves the table. */
    set: (deployment: string, route: FrontRoute | undefined): Promise<void> => {
      if (route) routes.set(deployment, route)
      else routes.delete(deployment)
      return flush()
    },
    setReady: (ready: boolean): Promise<void> => {
      isReady = ready
      return flush()
    },
    /**
     * Takes the front's own word for what is routed, unless one of our tables is on its way. A front that was started since
     * and goes by its disk is told again: by itself it is not ready while any deployment's workers are gone.
     */
    adopt: (table: FrontTable | undefined, { isUntold = false }: { readonly isUntold?: boolean } = {}): void => {
      if (!isIdle || queued) return
      if (table?.generation === arrived) {
        // Not at our own first look: after a reboot its routes must be closed before.
        if (table && isUntold) void flush().catch(() => undefined)
        return
      }
      routes.clear()
      for (const route of table?.routes ?? []) routes.set(route.deployment, route)
      // The first table that we see says whether this server was ready; afterwards we know better.
      if (arrived === undefined && generation === 0) isReady = table?.ready ?? false
      generation = Math.max(generation, table?.generation ?? 0)
      arrived = table?.generation
    }
  }
}

/** A route that can only answer 503 never stands in the way of one that serves the same host and path. */
const withoutShadows = (routes: readonly FrontRoute[]): FrontRoute[] => {
  const served = new Set(routes.filter(({ failed }) => !failed).flatMap(namesOf))
  return routes.map((route) =>
    route.failed ? { ...route, hostNames: route.hostNames.filter((name) => !served.has(`${name} ${route.path}`)) } : route
  )
}

const namesOf = ({ hostNames, path }: FrontRoute): string[] => hostNames.map((name) => `${name} ${path}`)
