import type { IncomingMessage } from 'node:http'

/** An error as the API answers it. */
export class ApiFailure extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export type FakeRequest = {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}
/** A handler answers the body of a 200, gets what stands for `:name` in its route, and the request's JSON. */
export type Handler = (parameters: readonly string[], body: Record<string, unknown>) => Promise<unknown> | unknown
export type Routes = Readonly<Record<string, Handler>>
