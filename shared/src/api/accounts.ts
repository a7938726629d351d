import { type Static, Type } from 'typebox'
import { Instant, Uuid } from '../fields.ts'
import { ListOf, Name, Status } from './common.ts'

export const AccountRequest = Type.Object({ name: Name }, { additionalProperties: false })
export type AccountRequest = Static<typeof AccountRequest>

export const Account = Type.Object(
  { id: Uuid, name: Type.String(), status: Status, createdAt: Instant },
  { additionalProperties: false }
)
export type Account = Static<typeof Account>
export const AccountList = ListOf(Account)
export type AccountList = Static<typeof AccountList>
