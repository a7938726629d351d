import { ErrorAnswer } from '@berth/shared/api/common'
import { type TSchema, Type } from 'typebox'

/** What a route answers: its own schema, and every failure in the one shape that they have. */
export const answers = <Status extends 200 | 201 | 202, Schema extends TSchema>(status: Status, schema: Schema) =>
  // The key is exactly the status; a computed key alone widens to every number.
  ({ [status]: schema, '4xx': ErrorAnswer, '5xx': ErrorAnswer }) as { [Key in Status]: Schema } & {
    '4xx': typeof ErrorAnswer
    '5xx': typeof ErrorAnswer
  }

export const noContent = { 204: Type.Null(), '4xx': ErrorAnswer, '5xx': ErrorAnswer } as const
