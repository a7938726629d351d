import type { Clock } from '@berth/shared/clock'

/** Where a command writes: a terminal, a pipe, or in tests a list. */
export type Sink = {
  readonly write: (text: string) => unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** Where a command reads: a terminal that can stop echoing, or a pipe. */
export type Source = AsyncIterable<Uint8Array | string> & {
  readonly isTTY?: boolean
  readonly setRawMode?: (on: boolean) => unknown
}

/** Everything that a command has from the process around it; the entry file alone reads it there. */
export type Environment = {
  /** The arguments after the program's name. */
  readonly args: readonly string[]
  readonly stdin: Source
  readonly stdout: Sink
  readonly stderr: Sink
  readonly clock: Clock
  readonly version: string
  readonly profilePath: string
  /** The API that the environment names for signing in. */
  readonly givenApi?: string | undefined
}
