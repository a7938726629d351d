import { findBadText } from '@berth/shared/parse'
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { notFound, refusal } from './errors.ts'

/** Checks requests by their schemas; the refusal names the first field that is wrong. A path that cannot be one is not found. */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = Compile(schema)
  return (given) => {
    // A body may be left out where nothing in it is needed; where something is, it is named.
    const value = httpPart === 'body' ? (given ?? {}) : given
    const bad = httpPart === 'params' ? undefined : findBadText(value)
    if (bad !== undefined)
      return { error: invalid({ field: bad, message: `${bad} holds text that is none, or is nested too deeply` }) }
    if (compiled.Check(value)) return { value }
    if (httpPart === 'params') return { error: notFound() }
    return { error: invalid(explain(compiled.Errors(value))) }
  }
}

const saidMax = 200

/** Names of fields are the sender's and of any size; answers and the audit log hold their beginning. */
const invalid = ({ field, message }: { readonly field: string; readonly message: string }) =>
  refusal('invalid', beginning(message, 2 * saidMax), { field: beginning(field, saidMax) })

/** A cut may leave half a character, which no database can keep. */
const beginning = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1).toWellFormed()}…`)

type SchemaError = ReturnType<ReturnType<typeof Compile>['Errors']>[number]

const explain = (errors: readonly SchemaError[]): { field: string; message: string } => {
  // Errors of a union come before the union's own, and tell less.
  const error = errors.find(({ keyword }) => keyword === 'anyOf') ?? errors[0]
  if (error?.keyword === 'required') {
    const field = `${error.instancePath}/${error.params.requiredProperties[0]}`
    return { field, message: `${field} is missing` }
  }
  if (error?.keyword === 'boolean') return { field: error.instancePath, message: `${error.instancePath} is not a field here` }
  const field = error?.instancePath || '/'
  return { field, message: `${field} ${error?.message ?? 'is not as its schema says'}` }
}
