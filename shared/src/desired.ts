import { type Static, Type } from 'typebox'
import { BuildRef } from './build.ts'
import { Digest, HostName, Instant, KeepWarm, SitePath, StoreName, Uuid } from './fields.ts'
import { jsonParser } from './parse.ts'

/** Points at one release's package in the fleet's prefix. `release` is the digest of the tuple, `id` names the row and the copy. */
export const ReleaseRef = Type.Object(
  { release: Digest, id: Uuid, incarnation: Type.Integer({ minimum: 1 }), package: Digest, build: BuildRef },
  { additionalProperties: false }
)
export type ReleaseRef = Static<typeof ReleaseRef>

/**
 * One deployment as a fleet shall run it.
 * `current` is routed; `preparing` is to be installed, started and probed beside it, not routed; `warm` is kept for a rollback.
 * `bake` says that the current release is still on trial: a server whose new pool fails may fall back to the warm one.
 */
export const DesiredDeployment = Type.Object(
  {
    deployment: Uuid,
    application: Uuid,
    path: SitePath,
    keepWarm: KeepWarm,
    current: Type.Union([ReleaseRef, Type.Null()]),
    preparing: Type.Union([ReleaseRef, Type.Null()]),
    warm: Type.Union([ReleaseRef, Type.Null()]),
    /** The operation that last changed this deployment, and which try of it: a fallback is remembered against them. */
    operation: Type.Union([Uuid, Type.Null()]),
    attempt: Type.Integer({ minimum: 0 }),
    bake: Type.Boolean()
  },
  { additionalProperties: false }
)
export type DesiredDeployment = Static<typeof DesiredDeployment>

/** One site's object in a body. Host names ascend; deployments ascend by path. */
export const DesiredSite = Type.Object(
  {
    format: Type.Literal(1),
    site: Uuid,
    subscription: Uuid,
    hostNames: Type.Array(HostName, { maxItems: 16 }),
    deployments: Type.Array(DesiredDeployment, { maxItems: 256 })
  },
  { additionalProperties: false }
)
export type DesiredSite = Static<typeof DesiredSite>
export const parseDesiredSite = jsonParser(DesiredSite, 'a site in desired state', 'bad_body')

/** The index of a body: site id → digest of the site's canonical JSON. */
export const DesiredIndex = Type.Object(
  { format: Type.Literal(1), fleet: StoreName, sites: Type.Record(Uuid, Digest, { additionalProperties: false }) },
  { additionalProperties: false }
)
export type DesiredIndex = Static<typeof DesiredIndex>
export const parseDesiredIndex = jsonParser(DesiredIndex, 'the index of desired state', 'bad_body')

/** The most per-site objects that a head names; when more changed, `changed` holds the first of them and agents read the index for the rest. */
export const changedMax = 32

/** What the writer signs. `digest` is that of the index; `changed` are per-site objects that are new since the generation before. */
export const Head = Type.Object(
  {
    fleet: StoreName,
    generation: Type.Integer({ minimum: 1 }),
    digest: Digest,
    revision: Type.Integer({ minimum: 0 }),
    signedAt: Instant,
    validUntil: Instant,
    root: Type.Integer({ minimum: 1 }),
    changed: Type.Array(Digest, { maxItems: changedMax })
  },
  { additionalProperties: false }
)
export type Head = Static<typeof Head>
export const parseHead = jsonParser(Head, 'a head', 'bad_head')
