import { type Static, type TSchema, Type } from 'typebox'
import { Uuid } from '../fields.ts'

/** What people call things: 1 to 100 printable characters, no blanks at either end. */
export const Name = Type.String({
  pattern: '^[^\\s\\u0000-\\u001f\\u007f]([^\\u0000-\\u001f\\u007f]*[^\\s\\u0000-\\u001f\\u007f])?$',
  maxLength: 100
})

/** An e-mail address as far as a machine can tell. */
export const Email = Type.String({ pattern: '^[^\\s@]{1,64}@[^\\s@]+\\.?[^\\s@]+$', maxLength: 254 })

/** Every refusal and failure of the API. `code` is public and never changes its meaning; `field` is a JSON pointer into the request. */
export const ErrorAnswer = Type.Object(
  {
    code: Type.String(),
    message: Type.String(),
    field: Type.Optional(Type.String()),
    requestId: Type.String()
  },
  { additionalProperties: false }
)
export type ErrorAnswer = Static<typeof ErrorAnswer>

/** Every list of the API. */
export const ListOf = <Item extends TSchema>(item: Item) =>
  Type.Object({ items: Type.Array(item) }, { additionalProperties: false })

/** Where a request stands in the URL: below a subscription, at one object. */
export const SubscriptionParams = Type.Object({ subscription: Uuid }, { additionalProperties: false })
export const ObjectParams = Type.Object({ subscription: Uuid, id: Uuid }, { additionalProperties: false })

/** What may be switched off and on again. */
export const Status = Type.Union([Type.Literal('active'), Type.Literal('disabled')])
export type Status = Static<typeof Status>

/** A version of an application, and the release made of it. */
export const ReleasePointer = Type.Object({ version: Type.Integer(), release: Uuid }, { additionalProperties: false })
export type ReleasePointer = Static<typeof ReleasePointer>

/** What went wrong, in a code for programs and words for people. */
export const Reason = Type.Object({ code: Type.String(), message: Type.String() }, { additionalProperties: false })
export type Reason = Static<typeof Reason>
