import { type Static, Type } from 'typebox'
import { Digest, Instant, Uuid } from '../fields.ts'
import { ListOf } from './common.ts'

/** What a version is, as the sealer found it: `node` when it has a script to start, else `static`. */
export const VersionKind = Type.Union([Type.Literal('node'), Type.Literal('static')])
export type VersionKind = Static<typeof VersionKind>

export const Version = Type.Object(
  {
    number: Type.Integer({ minimum: 1 }),
    manifest: Digest,
    kind: VersionKind,
    files: Type.Integer({ minimum: 1 }),
    bytes: Type.Integer({ minimum: 0 }),
    note: Type.Union([Type.String(), Type.Null()]),
    publishedBy: Uuid,
    publishedAt: Instant
  },
  { additionalProperties: false }
)
export type Version = Static<typeof Version>
export const VersionList = ListOf(Version)
export type VersionList = Static<typeof VersionList>

export const VersionParams = Type.Object(
  { subscription: Uuid, id: Uuid, number: Type.String({ pattern: '^[1-9][0-9]{0,8}$' }) },
  { additionalProperties: false }
)
