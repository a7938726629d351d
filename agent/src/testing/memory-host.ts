import { Refusal } from '@berth/shared/refusal'
import type { FrontTable, Host, PoolReason, PoolSpec, PoolStatus, ProbeResult } from '../host/host.ts'

type Pool = { spec: PoolSpec; state: PoolStatus['state']; port: number; reason?: PoolReason; restarts: number }

/** How a release's pool behaves in a test. `slow` answers its probe only when the test says so. */
export type Behaviour =
  | { readonly kind: 'good' }
  | { readonly kind: 'crashes' }
  | { readonly kind: 'answers'; readonly status: number }
  | { readonly kind: 'slow'; readonly until: Promise<void> }
  | { readonly kind: 'hangs-when-thawed' }

/**
 * A host in memory, by hand, at the real door: its pools outlive an agent, its front refuses older tables, and it throws
 * when an agent harms those who are being served.
 */
export const memoryHost = () => {
  const pools = new Map<string, Pool>()
  const behaviours = new Map<string, Behaviour>()
  const listeners = new Set<() => void>()
  const probed = new Set<string>()
  const calls: string[] = []
  const harm: string[] = []
  const waiting = new Map<string, number>()
  let table: FrontTable | undefined
  let frontUp = true
  let stopsHeld: Promise<void> | undefined
  let nextPort = 20_000

  const keyOf = (deployment: string, release: string) => `${deployment}/${release}`
  const getPool = (deployment: string, release: string): Pool => {
    const pool = pools.get(keyOf(deployment, release))
    if (!pool) throw new Refusal('no_pool', `no pool ${release}`)
    return pool
  }
  const isRouted = (deployment: string, release: string) =>
    table?.routes.some((route) => route.deployment === deployment && route.release === release && !route.failed) ?? false
  const note = (line: string) => calls.push(line)
  const behaviourOf = (release: string): Behaviour => behaviours.get(release) ?? { kind: 'good' }

  const host: Host = {
    observe: async () => ({
      pools: [...pools.values()].map(({ spec, state, port, reason, restarts }) => ({
        deployment: spec.deployment,
        release: spec.release,
        state,
        workers: state === 'crashed' ? [] : [{ pid: port, port, ready: state === 'running' }],
        restarts,
        ...(reason && { reason })
      })),
      table,
      frontUp
    }),
    startPool: async (spec) => {
      const key = keyOf(spec.deployment, spec.release)
      if (pools.has(key)) return
      note(`start ${spec.release}`)
      const others = [...pools.values()].filter((pool) => pool.spec.deployment === spec.deployment)
      if (others.length >= 2) harm.push(`a third pool of ${spec.deployment}`)
      probed.delete(key)
      const crashes = behaviourOf(spec.release).kind === 'crashes'
      const reason = { code: 'crashed', message: 'its worker ended with code 1 five times' }
      pools.set(key, { spec, state: crashes ? 'crashed' : 'running', port: nextPort++, restarts: 0, ...(crashes && { reason }) })
    },
    freezePool: async (deployment, release) => {
      if (isRouted(deployment, release)) harm.push(`froze the routed pool ${release}`)
      note(`freeze ${release}`)
      getPool(deployment, release).state = 'frozen'
    },
    thawPool: async (deployment, release) => {
      note(`thaw ${release}`)
      getPool(deployment, release).state = 'running'
    },
    stopPool: async (deployment, release) => {
      if (isRouted(deployment, release)) harm.push(`stopped the routed pool ${release}`)
      note(`stop ${release}`)
      await stopsHeld
      pools.delete(keyOf(deployment, release))
    },
    probe: async (deployment, release, request, signal): Promise<ProbeResult> => {
      note(`probe ${release} ${request.count}`)
      const pool = getPool(deployment, release)
      if (pool.state === 'crashed') return { ok: false, attempts: 0, ...(pool.reason && { reason: pool.reason }) }
      const behaviour = behaviourOf(release)
      const url = `http://127.0.0.1:${pool.port}${request.path}`
      if (behaviour.kind === 'answers' && behaviour.status !== request.status)
        return { ok: false, attempts: 3, last: { url, ms: 1, status: behaviour.status, bodyStart: 'the secret of the tenant' } }
      if (behaviour.kind === 'hangs-when-thawed' && request.deadlineMs <= 500)
        return { ok: false, attempts: 1, last: { url, ms: 500, error: 'no whole answer within 500 ms' } }
      if (behaviour.kind === 'slow')
        await Promise.race([behaviour.until, new Promise((resolve) => signal.addEventListener('abort', resolve))])
      if (signal.aborted) return { ok: false, attempts: 1 }
      probed.add(keyOf(deployment, release))
      return { ok: true }
    },
    route: async (next) => {
      if (table && next.generation < table.generation) throw new Refusal('stale_table', 'an older table')
      for (const { deployment, release, failed, upstreams } of next.routes)
        if (!failed) {
          const pool = pools.get(keyOf(deployment, release))
          if (pool?.state !== 'running' || !probed.has(keyOf(deployment, release)))
            harm.push(`routed ${release}, which did not answer its probe`)
          if (upstreams[0]?.port !== pool?.port) harm.push(`routed ${release} to a port that is not its own`)
        }
      note(`route ${next.routes.map(({ release, failed }) => (failed ? `!${release}` : release)).join(' ')}`.trim())
      table = next
    },
    inFlight: async (deployment, release) => waiting.get(keyOf(deployment, release)) ?? 0,
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    controlSockets: async () => []
  }

  return {
    host,
    calls,
    /** What an agent did that would have failed a request. */
    harm,
    table: () => table,
    behave: (release: string, behaviour: Behaviour) => behaviours.set(release, behaviour),
    /** The release that this deployment's requests go to; nothing when they are answered 503. */
    served: (deployment: string): string | undefined =>
      table?.routes.find((route) => route.deployment === deployment && !route.failed && route.upstreams.length > 0)?.release,
    poolStates: (deployment: string): Record<string, PoolStatus['state']> =>
      Object.fromEntries(
        [...pools.values()].filter(({ spec }) => spec.deployment === deployment).map(({ spec, state }) => [spec.release, state])
      ),
    specOf: (deployment: string, release: string): PoolSpec => getPool(deployment, release).spec,
    setInFlight: (deployment: string, release: string, requests: number) => waiting.set(keyOf(deployment, release), requests),
    /** Pools that are stopped take until the answered function is called, as one does whose requests are long. */
    holdStops: (): (() => void) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      stopsHeld = promise
      return () => {
        stopsHeld = undefined
        resolve()
      }
    },
    /** What a keeper does with a pool whose workers end again and again. */
    crash: (deployment: string, release: string) => {
      const pool = getPool(deployment, release)
      pool.state = 'crashed'
      pool.reason = { code: 'crashed', message: 'its worker ended five times within a minute' }
      for (const listener of listeners) listener()
    },
    /** All processes end; what is on disk stays. */
    reboot: () => {
      pools.clear()
      probed.clear()
    },
    setFrontUp: (up: boolean) => {
      frontUp = up
    }
  }
}
