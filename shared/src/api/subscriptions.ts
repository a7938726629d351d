import { type Static, Type } from 'typebox'
import { Instant, Uuid } from '../fields.ts'
import { Email, ListOf, Name, Status } from './common.ts'

export const SubscriptionRequest = Type.Object({ name: Name, ownerEmail: Email }, { additionalProperties: false })
export type SubscriptionRequest = Static<typeof SubscriptionRequest>

export const Subscription = Type.Object(
  { id: Uuid, name: Type.String(), status: Status, primaryContact: Uuid, createdAt: Instant },
  { additionalProperties: false }
)
export type Subscription = Static<typeof Subscription>
export const SubscriptionList = ListOf(Subscription)
export type SubscriptionList = Static<typeof SubscriptionList>
