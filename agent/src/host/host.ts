import type { PoolSettings, Settings } from '@berth/shared/fields'

/** What the host gives a pool's workers as operating-system identity. Absent where the agent is not root. */
export type PoolIdentity = { readonly uid: number; readonly gid: number }

/** Everything that starting one pool needs. A pool is known by (deployment, release); the rest follows from the release's digest. */
export type PoolSpec = {
  readonly deployment: string
  readonly subscription: string
  /** Digest of the release's tuple. */
  readonly release: string
  readonly releaseFolder: string
  /** Unpacked build; its `build.json` says how a worker is started. */
  readonly buildFolder: string
  /** Name of a required build → the folder where it lies unpacked. */
  readonly requires: Readonly<Record<string, string>>
  /** Environment of the workers, beside HOST, PORT and BERTH_ADJACENT. */
  readonly settings: Settings
  readonly pool: PoolSettings
  /** A worker that accepts no connection within this time of its start is ended, which counts as a crash: the probe's `startupMs`. */
  readonly startupMs: number
  readonly identity: PoolIdentity | undefined
  /** HOST of the workers. */
  readonly address: string
  /**
   * A link beside the release's folder that the agent points at the files of the adjacent kept release, or that is not
   * there. Workers get its path as BERTH_ADJACENT: `static` answers a path that its own release lacks from below it.
   */
  readonly adjacentLink: string
}

/** The code of a pool that was given up: it crashed too often, did not start, or its build cannot be run. */
export type PoolReason = { readonly code: string; readonly message: string }

export type Worker = {
  /** 0 while it is being started again: its port stays in the list, and in the table, where the front holds requests for it. */
  readonly pid: number
  /**
   * A worker that is started again gets its predecessor's port, so that the front's table stays right without the agent.
   * A port belongs to its pool until the pool is stopped: no other pool of this server is given it before that, also after
   * the keeper was killed, or requests of one deployment could reach another.
   */
  readonly port: number
  /** It accepts connections. */
  readonly ready: boolean
}

/**
 * `starting`: not every worker accepts connections yet. `running`: each one did. A worker that dies is started again by the
 * keeper with a growing delay, the pool stays `running`. `crashed`: given up; nothing restarts it until it is stopped and started.
 */
export type PoolStatus = {
  readonly deployment: string
  readonly release: string
  readonly state: 'starting' | 'running' | 'frozen' | 'crashed'
  readonly workers: readonly Worker[]
  readonly restarts: number
  readonly reason?: PoolReason
}

export type FrontRoute = {
  readonly hostNames: readonly string[]
  /** `/`, or `/a/b`: the longest path of a host name that is a whole prefix wins. */
  readonly path: string
  readonly deployment: string
  readonly release: string
  /** No upstream, or `failed`: the front answers 503 for this route alone. */
  readonly upstreams: readonly { readonly host: string; readonly port: number }[]
  readonly queueLength: number
  readonly failed?: boolean
}

/** The whole routing table of a front. */
export type FrontTable = {
  /** Grows with every table that this agent's disk has known; a front refuses a lower one. */
  readonly generation: number
  /**
   * Every deployment was attempted: the public listener opens and `/.berth/ready` answers 200. A front that starts with a
   * ready table on its disk is ready only once each route that has upstreams and is not failed accepts a connection on one
   * of them, or once it was given a table since: after a reboot the workers of the table are gone.
   */
  readonly ready: boolean
  readonly routes: readonly FrontRoute[]
}

export type ProbeAnswer = {
  readonly url: string
  readonly ms: number
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** The first 4 KiB of the body. */
  readonly bodyStart?: string
  readonly error?: string
}
export type ProbeResult =
  | { readonly ok: true }
  /** `last` is absent when no worker was there to be asked. */
  | { readonly ok: false; readonly attempts: number; readonly last?: ProbeAnswer; readonly reason?: PoolReason }

export type ProbeRequest = {
  readonly path: string
  readonly status: number
  /** Host header of the request: the first host name of the site. */
  readonly hostName: string
  /** Good answers in a row that each worker must give. */
  readonly count: number
  readonly timeoutMs: number
  /** How long all of it may take: a bad answer, or none, is asked again until then; a pool that was given up ends the probe at once. */
  readonly deadlineMs: number
}

/**
 * The door to what runs on this server: IIS, or processes. Every call is idempotent, and safe to repeat after the agent was
 * killed inside it. Only the agent holds it. Pools and the front outlive the agent.
 */
export type Host = {
  /** `table` is the front's own answer while it is up, else what lies on its disk. */
  readonly observe: () => Promise<{
    readonly pools: readonly PoolStatus[]
    readonly table: FrontTable | undefined
    readonly frontUp: boolean
    /** The front is up, goes by its disk, and was given no table since it started. */
    readonly frontUntold?: boolean
  }>
  /** Starts keeper and workers as processes of their own; resolves without waiting for them to be ready. Does nothing when the pool is there. */
  readonly startPool: (spec: PoolSpec) => Promise<void>
  /** Stops the pool's workers from running without ending them. Requests still on them are cut by the front before. */
  readonly freezePool: (deployment: string, release: string) => Promise<void>
  readonly thawPool: (deployment: string, release: string) => Promise<void>
  /** Ends keeper and workers (SIGTERM, the pool's shutdown limit, SIGKILL), frozen ones too, and forgets the pool. */
  readonly stopPool: (deployment: string, release: string) => Promise<void>
  /** Asks every worker of a pool; never through the front. */
  readonly probe: (deployment: string, release: string, request: ProbeRequest, signal: AbortSignal) => Promise<ProbeResult>
  /** Swaps the front's whole table in one step; durable on disk before it answers, also when the front is down. */
  readonly route: (table: FrontTable) => Promise<void>
  /** Requests that the front has under way on this pool, routed or not; 0 when the front is down. */
  readonly inFlight: (deployment: string, release: string) => Promise<number>
  /** Calls `listener` soon after a pool changed by itself (ready, crashed, given up). Calls may be lost or spurious. Answers the unsubscriber. */
  readonly onChange: (listener: () => void) => () => void
  /** Sockets by which the front and the keepers are commanded: no pool's identity may connect to one. */
  readonly controlSockets: () => Promise<readonly string[]>
}

/*
 * HOST exports from `agent/src/host/process.ts`:
 *   processHost(o: { serverFolder: string; node: string; clock: Clock }): Promise<Host>
 * `node` is the program that runs keepers. It keeps its own things below `<serverFolder>/run/` (0711 at most), each process's
 * identity in a file there, so that the cloud can stop a whole server: `run/pools/<deployment>/<release>/*.process.json`, keepers' and workers'.
 * The front's entry is `agent/src/front/main.ts <serverFolder>`; it reads machine.json for address and port.
 */
