import { type Static, Type } from 'typebox'
import { Instant, KeepWarm, PoolSettings, Probe, Settings, SitePath, Uuid } from '../fields.ts'
import { ListOf, Name, Reason, ReleasePointer, Status } from './common.ts'
import { Operation } from './operations.ts'

const BakeSeconds = Type.Integer({ minimum: 0, maximum: 86_400 })

/** What a deployment is run with; a change takes effect with the next release. */
const runs = {
  settings: Type.Optional(Settings),
  probe: Type.Optional(Type.Partial(Probe, { additionalProperties: false })),
  pool: Type.Optional(Type.Partial(PoolSettings, { additionalProperties: false })),
  keepWarm: Type.Optional(KeepWarm),
  bakeSeconds: Type.Optional(BakeSeconds)
}

/** Without `account` it goes into the application's; without `name` the platform makes one. */
export const DeploymentRequest = Type.Object(
  {
    application: Uuid,
    site: Uuid,
    path: SitePath,
    name: Type.Optional(Name),
    account: Type.Optional(Uuid),
    ...runs
  },
  { additionalProperties: false }
)
export type DeploymentRequest = Static<typeof DeploymentRequest>

export const DeploymentPatch = Type.Object(
  { status: Type.Optional(Status), ...runs },
  { additionalProperties: false, minProperties: 1 }
)
export type DeploymentPatch = Static<typeof DeploymentPatch>

export const Deployment = Type.Object(
  {
    id: Uuid,
    account: Uuid,
    application: Uuid,
    site: Uuid,
    name: Type.String(),
    path: SitePath,
    status: Status,
    settings: Settings,
    probe: Probe,
    pool: PoolSettings,
    keepWarm: KeepWarm,
    bakeSeconds: BakeSeconds,
    /** What to open in a browser. */
    addresses: Type.Array(Type.String()),
    /** The operation that disables or enables it, in the answer to the PATCH that asked for it. */
    operation: Type.Optional(Uuid),
    createdAt: Instant
  },
  { additionalProperties: false }
)
export type Deployment = Static<typeof Deployment>
export const DeploymentList = ListOf(Deployment)
export type DeploymentList = Static<typeof DeploymentList>

export const ServerState = Type.Union([
  Type.Literal('pending'),
  Type.Literal('installing'),
  Type.Literal('running'),
  Type.Literal('failed')
])
export type ServerState = Static<typeof ServerState>

/** What one server says of this deployment; `version` and `release` are what it sends requests to. */
export const ServerStatus = Type.Object(
  {
    server: Type.String(),
    zone: Type.String(),
    state: ServerState,
    version: Type.Optional(Type.Integer()),
    release: Type.Optional(Uuid),
    reason: Type.Optional(Reason),
    reportedAt: Type.Optional(Instant)
  },
  { additionalProperties: false }
)
export type ServerStatus = Static<typeof ServerStatus>

export const DeploymentStatus = Type.Object(
  {
    deployment: Deployment,
    live: Type.Optional(ReleasePointer),
    requested: Type.Optional(ReleasePointer),
    operation: Type.Optional(Operation),
    servers: Type.Array(ServerStatus),
    warm: Type.Optional(ReleasePointer)
  },
  { additionalProperties: false }
)
export type DeploymentStatus = Static<typeof DeploymentStatus>
