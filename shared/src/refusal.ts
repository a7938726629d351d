/**
 * A failure that was expected: a caller asked for what may not be, or input was not what it must be.
 * `code` is public API and never changes its meaning; `message` is for the caller and holds no text of a library's.
 */
export class Refusal extends Error {
  readonly code: string
  /** The offending field as a JSON pointer, where there is one. */
  readonly field: string | undefined

  constructor(code: string, message: string, options: { readonly field?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'Refusal'
    this.code = code
    this.field = options.field
  }
}
