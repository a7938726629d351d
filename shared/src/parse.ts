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
    const field = showPath(first?.instancePath || '/')
    throw new Refusal(code, `${what}: ${field} ${first?.message ?? 'is not as its schema says'}`, { field })
  }
}

const pathCharactersMax = 200

/** Names of fields are whatever was sent: they go into messages and rows only as text that can be kept, and not at any length. */
const showPath = (path: string): string => {
  const shown = path
    .slice(0, pathCharactersMax)
    .toWellFormed()
    .replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return path.length > pathCharactersMax ? `${shown}…` : shown
}

/** No message of ours is nested deeper; checking one that is must not exhaust the stack. */
const depthMax = 32

/** JSON can say what no database can keep and no canonical form has: the character NUL, and halves of characters. Answers where. */
export const findBadText = (value: unknown, at = '', depth = 0): string | undefined => {
  if (depth > depthMax) return at
  if (typeof value === 'string') return value.includes('\0') || !value.isWellFormed() ? at || '/' : undefined
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, inner] of Object.entries(value)) {
    if (findBadText(name) !== undefined) return at || '/'
    const bad = findBadText(inner, `${at}/${name}`, depth + 1)
    if (bad !== undefined) return bad
  }
  return undefined
}

/** Parses JSON text or bytes and then checks its text and its shape; bad JSON is refused like a bad shape. */
export const jsonParser = <Schema extends TSchema>(schema: Schema, what: string, code = 'invalid') => {
  const parse = parser(schema, what, code)
  return (text: string | Uint8Array): Static<Schema> => {
    let value: unknown
    try {
      value = JSON.parse(typeof text === 'string' ? text : Buffer.from(text).toString('utf8'))
    } catch (cause) {
      throw new Refusal(code, `${what}: not JSON`, { cause })
    }
    const bad = findBadText(value)
    if (bad !== undefined) {
      const field = showPath(bad)
      throw new Refusal(code, `${what}: ${field} holds text that is none, or is nested too deeply`, { field })
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
