import { type Static, Type } from 'typebox'
import { Instant, Uuid } from '../fields.ts'
import { Email } from './common.ts'

export const SignInRequest = Type.Object(
  { email: Email, password: Type.String({ minLength: 1, maxLength: 1024 }) },
  { additionalProperties: false }
)
export type SignInRequest = Static<typeof SignInRequest>

/** `token` goes into `Authorization: Bearer …`; it is handed out here only. */
export const SignInAnswer = Type.Object(
  {
    token: Type.String(),
    expiresAt: Instant,
    user: Type.Object({ id: Uuid, email: Type.String() }, { additionalProperties: false })
  },
  { additionalProperties: false }
)
export type SignInAnswer = Static<typeof SignInAnswer>

export const GrantRole = Type.Literal('owner')
export type GrantRole = Static<typeof GrantRole>

export const Me = Type.Object(
  {
    user: Type.Object(
      { id: Uuid, email: Type.String(), name: Type.String(), operator: Type.Boolean() },
      { additionalProperties: false }
    ),
    subscriptions: Type.Array(Type.Object({ id: Uuid, name: Type.String(), role: GrantRole }, { additionalProperties: false }))
  },
  { additionalProperties: false }
)
export type Me = Static<typeof Me>
