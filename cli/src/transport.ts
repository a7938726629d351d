import { randomUUID } from 'node:crypto'
import { ErrorAnswer } from '@berth/shared/api/common'
import type { Clock } from '@berth/shared/clock'
import { answerParser } from '@berth/shared/parse'
import { CliError, type ExitCode, exitCodes } from './errors.ts'

export type ApiRequest = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
}

/** Carries one request to the API and answers its JSON; every failure is a `CliError`. */
export type Send = (request: ApiRequest) => Promise<unknown>

const timeoutMs = 30_000
/** Waits between tries: a control plane that restarts is back within seconds. */
const retryDelaysMs = [200, 400, 800, 1600] as const
const retryAfterMsMax = 10_000

const parseErrorAnswer = answerParser(ErrorAnswer, 'an error of the API')

/**
 * HTTP to one API. Every mutation carries an idempotency key, the same on each of its tries, so that a lost answer
 * may be asked for again and nothing is done twice.
 */
export const transport =
  (o: { readonly api: string; readonly token?: string; readonly version: string; readonly clock: Clock }): Send =>
  async (request) => {
    const headers: Record<string, string> = {
      accept: 'application/json',
      'user-agent': `berth/${o.version}`,
      ...(o.token === undefined ? {} : { authorization: `Bearer ${o.token}` }),
      ...(request.method === 'GET' ? {} : { 'idempotency-key': randomUUID() }),
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' })
    }
    for (let attempt = 0; ; attempt++) {
      const outcome = await tryOnce(o.api, request, headers)
      if (outcome.kind === 'answer') return outcome.value
      const delayMs = retryDelaysMs[attempt]
      if (!outcome.mayRetry || delayMs === undefined) throw outcome.error
      await o.clock.wait(Math.max(delayMs, outcome.retryAfterMs))
    }
  }

type Outcome =
  | { readonly kind: 'answer'; readonly value: unknown }
  | { readonly kind: 'failure'; readonly error: CliError; readonly mayRetry: boolean; readonly retryAfterMs: number }

const tryOnce = async (api: string, request: ApiRequest, headers: Record<string, string>): Promise<Outcome> => {
  let status: number
  let text: string
  let retryAfterMs: number
  try {
    const response = await fetch(new URL(request.path, api), {
      method: request.method,
      headers,
      // A redirect could carry the token elsewhere: none is followed.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) })
    })
    status = response.status
    retryAfterMs = Math.min(Number(response.headers.get('retry-after') ?? 0) * 1000 || 0, retryAfterMsMax)
    text = await response.text()
  } catch (cause) {
    return { kind: 'failure', error: unreachable(api, reasonOf(cause), cause), mayRetry: true, retryAfterMs: 0 }
  }
  const value = jsonOf(text)
  if (status >= 200 && status < 300 && (value !== undefined || text === '')) return { kind: 'answer', value }
  const error = failureOf(api, request, status, value)
  // `in_progress`: an earlier try of this very request is still under way, and its answer will be ours.
  const mayRetry = status === 429 || (status >= 502 && status <= 504) || error.code === 'in_progress'
  return { kind: 'failure', error, mayRetry, retryAfterMs }
}

const failureOf = (api: string, { method, path }: ApiRequest, status: number, value: unknown): CliError => {
  const said = errorAnswerOf(value)
  if (said) {
    const { code, message, field, requestId } = said
    return new CliError(code, message, exitCodeOf(status), { field, requestId })
  }
  if (status >= 502 && status <= 504) return unreachable(api, `HTTP ${status}`)
  return new CliError(
    'bad_answer',
    `${method} ${path} was answered with HTTP ${status} and no answer of Berth’s: is ${api} the address of its API?`
  )
}

const errorAnswerOf = (value: unknown): ErrorAnswer | undefined => {
  try {
    return parseErrorAnswer(value)
  } catch {
    return undefined // not ours: a proxy's page, or another program on this port
  }
}

const exitCodeOf = (status: number): ExitCode => {
  if (status === 401) return exitCodes.notSignedIn
  return status === 404 ? exitCodes.notFound : exitCodes.failed
}

const unreachable = (api: string, why: string, cause?: unknown): CliError =>
  new CliError('unreachable', `the API at ${api} cannot be reached (${why})`, exitCodes.unreachable, { cause })

/** fetch hides what went wrong one level down. */
const reasonOf = (cause: unknown): string => {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  if (inner instanceof Error && 'code' in inner && typeof inner.code === 'string') return inner.code
  return inner instanceof Error ? inner.name : 'no answer'
}

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
