import { type Static, Type } from 'typebox'

/** Fields that several messages share. */
export const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' })
export const Uuid = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' })
/** 128 random bits in hex: the name of a pack, new at every packing. */
export const PackId = Type.String({ pattern: '^[0-9a-f]{32}$' })
export const Instant = Type.String({ format: 'date-time' })
/** A fleet's or a server's name in keys of the object store: `f-…`, `s-…`, or an AWS user id. */
export const StoreName = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9:_-]{0,99}$' })
/** Lower-case host name of at least one label; every DNS limit is checked where names are made. */
export const HostName = Type.String({ pattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)*$', maxLength: 253 })
/** `/`, or `/a/b` without a trailing slash. */
export const SitePath = Type.String({ pattern: '^/([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?$', maxLength: 200 })

/** How the platform asks a worker whether it is well: `count` good answers in a row, `/.berth` paths are never asked. */
export const Probe = Type.Object(
  {
    path: Type.String({ pattern: '^/', maxLength: 1024 }),
    status: Type.Integer({ minimum: 100, maximum: 599 }),
    count: Type.Integer({ minimum: 1, maximum: 100 }),
    timeoutMs: Type.Integer({ minimum: 50, maximum: 60_000 }),
    /** How long a release may take from its start to its last good answer. */
    startupMs: Type.Integer({ minimum: 1000, maximum: 600_000 })
  },
  { additionalProperties: false }
)
export type Probe = Static<typeof Probe>
export const defaultProbe: Probe = { path: '/', status: 200, count: 2, timeoutMs: 2000, startupMs: 30_000 }

/** What a pool is started with. IIS's whole table comes with the agent's own issue; these it needs from the first day. */
export const PoolSettings = Type.Object(
  {
    processes: Type.Integer({ minimum: 1, maximum: 16 }),
    shutdownTimeLimitMs: Type.Integer({ minimum: 1000, maximum: 600_000 }),
    queueLength: Type.Integer({ minimum: 10, maximum: 65_535 })
  },
  { additionalProperties: false }
)
export type PoolSettings = Static<typeof PoolSettings>
export const defaultPool: PoolSettings = { processes: 1, shutdownTimeLimitMs: 90_000, queueLength: 1000 }

/** Plain settings, handed to the application as environment variables. */
export const Settings = Type.Record(
  Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' }),
  Type.String({ maxLength: 32_768 }),
  // Without it a name that the pattern does not know would pass, with any value.
  { additionalProperties: false }
)
export type Settings = Static<typeof Settings>

export const KeepWarm = Type.Union([Type.Literal('frozen'), Type.Literal('running'), Type.Literal('off')])
export type KeepWarm = Static<typeof KeepWarm>
