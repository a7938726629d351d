import { type Static, Type } from 'typebox'
import { Digest, Instant, Uuid } from '../fields.ts'
import { BuildPointer } from './builds.ts'
import { ListOf } from './common.ts'

export const ReleaseStatus = Type.Union([Type.Literal('requested'), Type.Literal('packaged'), Type.Literal('failed')])
export type ReleaseStatus = Static<typeof ReleaseStatus>

/** `digest` is null until the release was packaged. */
export const Release = Type.Object(
  {
    id: Uuid,
    version: Type.Integer({ minimum: 1 }),
    build: BuildPointer,
    digest: Type.Union([Digest, Type.Null()]),
    status: ReleaseStatus,
    wasLive: Type.Boolean(),
    createdAt: Instant
  },
  { additionalProperties: false }
)
export type Release = Static<typeof Release>
export const ReleaseList = ListOf(Release)
export type ReleaseList = Static<typeof ReleaseList>

/** Without `release`: the last one that was live on the whole fleet before the current one. */
export const RollbackRequest = Type.Object({ release: Type.Optional(Uuid) }, { additionalProperties: false })
export type RollbackRequest = Static<typeof RollbackRequest>
