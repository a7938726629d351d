import { type Static, Type } from 'typebox'
import { Envelope } from './dsse.ts'
import { StoreName, Uuid } from './fields.ts'
import { jsonParser } from './parse.ts'

export const Tenancy = Type.Union([Type.Literal('public'), Type.Literal('subscription'), Type.Literal('dedicated')])
export type Tenancy = Static<typeof Tenancy>

/**
 * What a server is told at birth and pins on its disk: it judges desired state by this, never by what the state says of itself.
 */
export const BirthRecord = Type.Object(
  {
    format: Type.Literal(1),
    fleet: StoreName,
    cell: StoreName,
    cloud: Type.Union([Type.Literal('local'), Type.Literal('aws')]),
    tenancy: Tenancy,
    /** Set unless the tenancy is public. */
    subscription: Type.Optional(Uuid),
    group: Type.Optional(Uuid),
    /** The first root that this server trusts. */
    root: Envelope
  },
  { additionalProperties: false }
)
export type BirthRecord = Static<typeof BirthRecord>
export const parseBirthRecord = jsonParser(BirthRecord, 'a birth record', 'bad_birth')

/** The operating-system identities that a server may give to its pools: `count` of them from `first` on. */
export const IdentityRange = Type.Object(
  { first: Type.Integer({ minimum: 200_000, maximum: 0x7fff_ffff }), count: Type.Integer({ minimum: 1, maximum: 100_000 }) },
  { additionalProperties: false }
)
export type IdentityRange = Static<typeof IdentityRange>

/**
 * What the machine itself tells (instance metadata on AWS; on a laptop a file beside the birth record): who this server is and
 * how it reaches the store and the key service.
 */
export const MachineIdentity = Type.Object(
  {
    server: StoreName,
    zone: Type.String({ maxLength: 64 }),
    /** The address that the front listens on, and that workers get as HOST. */
    address: Type.String({ maxLength: 64 }),
    /** The front's port (80 on AWS; its own on a laptop). */
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    objects: Type.Object(
      {
        kind: Type.Literal('folder'),
        root: Type.String(),
        /** For measurements only: each request to the store takes this much longer. */
        latencyMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 60_000 }))
      },
      { additionalProperties: false }
    ),
    /** Folder of the key files that this server may use: its fleet's, nothing else. */
    keys: Type.Object({ kind: Type.Literal('local'), folder: Type.String() }, { additionalProperties: false }),
    /** Where several servers share one system: the identities that are this server's alone. */
    identities: Type.Optional(IdentityRange),
    pollMs: Type.Integer({ minimum: 50, maximum: 60_000 })
  },
  { additionalProperties: false }
)
export type MachineIdentity = Static<typeof MachineIdentity>
export const parseMachineIdentity = jsonParser(MachineIdentity, 'a machine identity', 'bad_machine')
