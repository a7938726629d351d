import { type Static, Type } from 'typebox'
import { Instant, Uuid } from '../fields.ts'
import { BuildChoice, BuildPointer } from './builds.ts'
import { ListOf } from './common.ts'

export const LoggingLevel = Type.Union([
  Type.Literal('error'),
  Type.Literal('warning'),
  Type.Literal('information'),
  Type.Literal('debug')
])
export type LoggingLevel = Static<typeof LoggingLevel>

/** Without `startsAt` it starts now; without `endsAt` it runs until another follows; without `build` the platform chooses one that fits the version. */
export const ScheduleItemRequest = Type.Object(
  {
    version: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
    build: Type.Optional(BuildChoice),
    startsAt: Type.Optional(Instant),
    endsAt: Type.Optional(Instant),
    loggingLevel: Type.Optional(LoggingLevel)
  },
  { additionalProperties: false }
)
export type ScheduleItemRequest = Static<typeof ScheduleItemRequest>

/** `operation` is there from the moment at which the item starts. */
export const ScheduleItem = Type.Object(
  {
    id: Uuid,
    deployment: Uuid,
    version: Type.Integer({ minimum: 1 }),
    build: BuildPointer,
    loggingLevel: LoggingLevel,
    startsAt: Instant,
    endsAt: Type.Union([Instant, Type.Null()]),
    operation: Type.Optional(Uuid)
  },
  { additionalProperties: false }
)
export type ScheduleItem = Static<typeof ScheduleItem>
export const ScheduleItemList = ListOf(ScheduleItem)
export type ScheduleItemList = Static<typeof ScheduleItemList>
