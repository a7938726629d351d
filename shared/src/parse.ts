import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Clean } from 'typebox/value'
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

/**
 * Makes the function by which a client reads an answer of this shape. Unlike a message, an answer may come from a newer
 * server: fields that this schema does not know are left out, what it knows must be there. Compiled when first needed.
 */
export const answerParser = <Schema extends TSchema>(schema: Schema, what: string): ((value: unknown) => Static<Schema>) => {
  let parse: ((value: unknown) => Static<Schema>) | undefined
  return (value) => {
    parse ??= parser(schema, what, 'bad_answer')
    return parse(Clean(schema, structuredClone(value)))
  }
}
