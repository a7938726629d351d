import { type Static, Type } from 'typebox'
import { BuildName, BuildVersion, Platform } from '../build.ts'
import { Uuid } from '../fields.ts'
import { ListOf } from './common.ts'

export const BuildStatus = Type.Union([Type.Literal('offered'), Type.Literal('withdrawn')])
export type BuildStatus = Static<typeof BuildStatus>

/** Offers a build whose archive and signed statement lie in the store already. */
export const BuildRequest = Type.Object(
  { name: BuildName, version: BuildVersion, platform: Platform },
  { additionalProperties: false }
)
export type BuildRequest = Static<typeof BuildRequest>

/** How a schedule item names a build: without a version the newest that is offered. */
export const BuildChoice = Type.Object({ name: BuildName, version: Type.Optional(BuildVersion) }, { additionalProperties: false })
export type BuildChoice = Static<typeof BuildChoice>

export const Build = Type.Object(
  {
    id: Uuid,
    name: Type.String(),
    version: Type.String(),
    platform: Type.String(),
    status: BuildStatus,
    size: Type.Integer({ minimum: 1 })
  },
  { additionalProperties: false }
)
export type Build = Static<typeof Build>
export const BuildList = ListOf(Build)
export type BuildList = Static<typeof BuildList>

/** A build as other objects name it. */
export const BuildPointer = Type.Object(
  { id: Uuid, name: Type.String(), version: Type.String(), platform: Type.String() },
  { additionalProperties: false }
)
export type BuildPointer = Static<typeof BuildPointer>
