import { type Static, Type } from 'typebox'
import { Instant, Uuid } from '../fields.ts'
import { ListOf, Name, Status } from './common.ts'

/** Without `account` the application goes into the subscription's first. */
export const ApplicationRequest = Type.Object({ account: Type.Optional(Uuid), name: Name }, { additionalProperties: false })
export type ApplicationRequest = Static<typeof ApplicationRequest>

/** `lastVersion` is 0 until something was published. */
export const Application = Type.Object(
  {
    id: Uuid,
    account: Uuid,
    name: Type.String(),
    status: Status,
    lastVersion: Type.Integer({ minimum: 0 }),
    createdAt: Instant
  },
  { additionalProperties: false }
)
export type Application = Static<typeof Application>
export const ApplicationList = ListOf(Application)
export type ApplicationList = Static<typeof ApplicationList>
