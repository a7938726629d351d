import type { ReleaseRef } from '@berth/shared/desired'
import type { KeepWarm } from '@berth/shared/fields'

/** One deployment as this server shall run it, with where its site is shown. */
export type DeploymentDesired = {
  readonly deployment: string
  readonly application: string
  readonly subscription: string
  readonly hostNames: readonly string[]
  readonly path: string
  readonly keepWarm: KeepWarm
  readonly current: ReleaseRef | null
  readonly preparing: ReleaseRef | null
  readonly warm: ReleaseRef | null
  readonly operation: string | null
  readonly attempt: number
  readonly bake: boolean
}

/** What this server shall run, by deployment. */
export type ServerDesired = Readonly<Record<string, DeploymentDesired>>

export type Upstream = { readonly host: string; readonly port: number }

/**
 * How far a running pool is believed. `probed`: it gave its good answers since it was started or thawed, or requests go to
 * it. `thawed`: it answered before it was frozen. `distrusted`: it could not be thawed,
 * did not answer in time, or is being ended.
 */
export type Trust = 'none' | 'thawed' | 'probed' | 'distrusted'

export type PoolObserved = {
  readonly release: string
  readonly state: 'starting' | 'running' | 'frozen' | 'crashed'
  readonly trust: Trust
  readonly upstreams: readonly Upstream[]
}

/** This deployment's entry in the front's table. */
export type RouteObserved = {
  readonly release: string
  readonly hostNames: readonly string[]
  readonly path: string
  readonly upstreams: readonly Upstream[]
  /** The front answers 503 for it. */
  readonly failed: boolean
}

/** A fallback that this server decided by itself: away from this release, under this operation and attempt. */
export type Fallback = { readonly release: string; readonly operation: string; readonly attempt: number }

export type DeploymentObserved = {
  readonly route: RouteObserved | undefined
  readonly pools: readonly PoolObserved[]
  /** Releases whose files and build lie on this server whole. */
  readonly installed: readonly string[]
  /** Installed releases of which desired state names a package that does not lie here: they could not be started without the store. */
  readonly unfetched: readonly string[]
  /** Releases that have folders here, whole or not. */
  readonly folders: readonly string[]
  /** Release → the release that its worker answers missing paths from. */
  readonly adjacent: Readonly<Record<string, string>>
  /** Releases that failed under the operation and attempt that are desired now, and whose time to be tried again has not come. */
  readonly failed: readonly string[]
  /** Those of them that no time mends and no store: only these are a reason to fall back. */
  readonly lost: readonly string[]
  readonly fallback: Fallback | undefined
}

export type ServerObserved = Readonly<Record<string, DeploymentObserved>>

export const nothingObserved: DeploymentObserved = {
  route: undefined,
  pools: [],
  installed: [],
  unfetched: [],
  folders: [],
  adjacent: {},
  failed: [],
  lost: [],
  fallback: undefined
}

/**
 * One step. Each is idempotent and leaves a state from which every desired state can be reached.
 * `freeze` and `retire` (end) first wait until the pool's last request is answered, or its shutdown limit is over.
 */
export type Step =
  | { readonly kind: 'install'; readonly release: string }
  /** Get the package that desired state names onto the disk, where files and pool are as they shall be already. */
  | { readonly kind: 'fetch'; readonly release: string }
  | { readonly kind: 'link'; readonly release: string; readonly adjacent: string | null }
  | { readonly kind: 'start'; readonly release: string }
  /** All good answers that the release asks for, within its start-up time. */
  | { readonly kind: 'probe'; readonly release: string }
  | { readonly kind: 'thaw'; readonly release: string }
  /** One good answer within half a second. */
  | { readonly kind: 'quick-probe'; readonly release: string }
  | { readonly kind: 'route'; readonly release: string }
  /** Keep the route, with the ports that its pool has now. */
  | { readonly kind: 'refresh'; readonly release: string }
  /** Answer 503: there is no pool that can. */
  | { readonly kind: 'close'; readonly release: string }
  | { readonly kind: 'unroute' }
  | { readonly kind: 'freeze'; readonly release: string }
  | { readonly kind: 'retire'; readonly release: string }
  | { readonly kind: 'remove-files'; readonly release: string }
  | { readonly kind: 'record-fallback'; readonly fallback: Fallback }
  | { readonly kind: 'forget-fallback' }

export type Action = Step & { readonly deployment: string }
