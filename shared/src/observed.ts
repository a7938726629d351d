import { type Static, Type } from 'typebox'
import { Digest, Instant, StoreName, Uuid } from './fields.ts'
import { jsonParser } from './parse.ts'

/** The most bytes that one report may have; a larger one is not read. */
export const observedBytesMax = 256 * 1024

/** Nothing counts further, and the database's `bigint` holds it. */
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

const Reason = Type.Object(
  { code: Type.String({ maxLength: 64 }), message: Type.String({ maxLength: 2048 }) },
  { additionalProperties: false }
)

/** `preparing` is on its way; `ready` answers its probe; `frozen` is kept for a rollback; `failed` waits for another desired state. */
export const PoolState = Type.Union([
  Type.Literal('preparing'),
  Type.Literal('ready'),
  Type.Literal('frozen'),
  Type.Literal('failed')
])
export type PoolState = Static<typeof PoolState>

export const ObservedPool = Type.Object(
  {
    release: Digest,
    state: PoolState,
    reason: Type.Optional(Reason),
    /** Id of the probe's answer under `reports/…/diagnostics/`, sealed to the subscription's reading key. */
    diagnostics: Type.Optional(Uuid),
    restarts: Count
  },
  { additionalProperties: false }
)
export type ObservedPool = Static<typeof ObservedPool>

export const ObservedDeployment = Type.Object(
  {
    deployment: Uuid,
    /** The release that requests go to. */
    routed: Type.Union([Digest, Type.Null()]),
    /** The operation and attempt of the desired state that this answers. */
    operation: Type.Union([Uuid, Type.Null()]),
    attempt: Count,
    pools: Type.Array(ObservedPool, { maxItems: 4 }),
    /** Set when the server fell back by itself: from which release, under which operation and attempt. */
    fallback: Type.Optional(Type.Object({ release: Digest, operation: Uuid, attempt: Count }, { additionalProperties: false }))
  },
  { additionalProperties: false }
)
export type ObservedDeployment = Static<typeof ObservedDeployment>

/** What one server says that it runs. Believed only about that server; staleness is judged by the store's clock, not by `at`. */
export const Observed = Type.Object(
  {
    format: Type.Literal(1),
    fleet: StoreName,
    server: StoreName,
    zone: Type.String({ maxLength: 64 }),
    agent: Type.String({ maxLength: 64 }),
    at: Instant,
    /** The desired state that this report answers; 0 before the first. */
    generation: Count,
    digest: Type.Union([Digest, Type.Null()]),
    /** The head last seen: `current`, accepted though `stale`, or `refused` (then `refusals` says why). */
    head: Type.Union([Type.Literal('none'), Type.Literal('current'), Type.Literal('stale'), Type.Literal('refused')]),
    refusals: Type.Array(Reason, { maxItems: 16 }),
    ready: Type.Boolean(),
    /** Plain words about what this server does not isolate (an agent without root, say). */
    notIsolated: Type.Array(Type.String({ maxLength: 512 }), { maxItems: 16 }),
    builds: Type.Array(Type.String({ maxLength: 128 }), { maxItems: 256 }),
    deployments: Type.Array(ObservedDeployment, { maxItems: 2000 })
  },
  { additionalProperties: false }
)
export type Observed = Static<typeof Observed>
export const parseObserved = jsonParser(Observed, 'a report', 'bad_report')
