import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { notFound, refusal } from './errors.ts'

/** Checks requests by their schemas; the refusal names the first field that is wrong. A path that cannot be one is not found. */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = Compile(schema)
  return (value) => {
    if (compiled.Check(value)) return { value }
    if (httpPart === 'params') return { error: notFound() }
    const { field, message } = explain(compiled.Errors(value))
    return { error: refusal('invalid', message, { field }) }
  }
}

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
