import { Refusal } from '@berth/shared/refusal'

/** What scripts can rely on; `berth --help` prints this table. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  notSignedIn: 3,
  notFound: 4,
  operationFailed: 5,
  unreachable: 6,
  outdated: 7
} as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** One line for each exit code, as help and docs/cli.md have it. */
export const exitCodeMeanings: readonly (readonly [ExitCode, string])[] = [
  [0, 'done'],
  [1, 'failed or refused; nothing was changed unless the message says so'],
  [2, 'wrong usage: an option, an argument, or a name that means several things'],
  [3, 'not signed in, or the session has ended'],
  [4, 'what was named does not exist, or is somebody else’s'],
  [5, 'the operation did not become live; what served before still serves'],
  [6, 'the API cannot be reached'],
  [7, 'this berth is too old for the API']
]

/** A failure that ends a command: a code for programs, a message for people, and the exit code that follows. */
export class CliError extends Error {
  readonly code: string
  readonly exitCode: ExitCode
  readonly field: string | undefined
  readonly requestId: string | undefined

  constructor(
    code: string,
    message: string,
    exitCode: ExitCode = exitCodes.failed,
    options: { readonly field?: string | undefined; readonly requestId?: string | undefined; readonly cause?: unknown } = {}
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CliError'
    this.code = code
    this.exitCode = exitCode
    this.field = options.field
    this.requestId = options.requestId
  }
}

export const usageError = (message: string): CliError => new CliError('usage', message, exitCodes.usage)
export const notFound = (message: string): CliError => new CliError('not_found', message, exitCodes.notFound)

export const isUnreachable = (error: unknown): boolean => error instanceof CliError && error.exitCode === exitCodes.unreachable

/** Every failure as one that ends a command. An unexpected one is a bug of ours and says so. */
export const toCliError = (error: unknown): CliError => {
  if (error instanceof CliError) return error
  if (error instanceof Refusal) {
    const exitCode = error.code === 'no_folder' ? exitCodes.notFound : exitCodes.failed
    return new CliError(error.code, error.message, exitCode, { field: error.field, cause: error })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new CliError('unexpected', `unexpected failure: ${message}`, exitCodes.failed, { cause: error })
}
