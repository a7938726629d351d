import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Refusal } from './refusal.ts'

/**
 * Makes the one function by which a message of this shape enters the process.
 * It answers the typed value or refuses with the first field that is wrong; unknown fields are refused by the schemas themselves.
 */
export const parser = <Schema extends TSchema>(
  schema: Schema,
  what: string,
  code = 'invalid'
): ((value: unknown) => Static<Schema>) => {
  const compiled = Compile(schema)
  return (value) => {
    if (compiled.Check(value)) return value
    const [first] = compiled.Errors(value)
    const field = first?.instancePath || '/'
    throw new Refusal(code, `${what}: ${field} ${first?.message ?? 'is not as its schema says'}`, { field })
  }
}

/** Parses JSON text or bytes and then checks the shape; bad JSON is refused like a bad shape. */
export const jsonParser = <Schema extends TSchema>(schema: Schema, what: string, code = 'invalid') => {
  const parse = parser(schema, what, code)
  return (text: string | Uint8Array): Static<Schema> => {
    let value: unknown
    try {
      value = JSON.parse(typeof text === 'string' ? text : Buffer.from(text).toString('utf8'))
    } catch (cause) {
      throw new Refusal(code, `${what}: not JSON`, { cause })
    }
    return parse(value)
  }
}
