import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Clock } from '@berth/shared/clock'
import { CliError, exitCodes } from '../errors.ts'

/** Where bytes go, and the headers that were signed: exactly these are sent. */
export type PutTarget = { readonly url: string; readonly headers: Readonly<Record<string, string>> }

const idleMs = 60_000
const sliceBytes = 256 * 1024
const retryDelaysMs = [250, 500, 1000, 2000, 4000] as const

/**
 * Puts bytes where presigned URLs say. A try that got no answer may have succeeded: then the next one finds the object
 * there (412), which is success, because nobody else knows its name. Each try asks `target` afresh: URLs expire.
 */
export const putBytes = async (o: {
  readonly what: string
  readonly bytes: Uint8Array
  readonly target: () => Promise<PutTarget>
  readonly clock: Clock
  readonly signal: AbortSignal
  /** How many of the bytes have gone out, in the current try. */
  readonly onSent: (bytes: number) => void
}): Promise<void> => {
  let mayBeThere = false
  for (let attempt = 0; ; attempt++) {
    const target = await o.target()
    o.onSent(0)
    const outcome = await putOnce(target, o)
    if (outcome.kind === 'status') {
      if (outcome.status >= 200 && outcome.status < 300) return
      if (outcome.status === 412 && mayBeThere) return
    }
    o.signal.throwIfAborted()
    const delayMs = retryDelaysMs[attempt]
    if (!mayRetry(outcome) || delayMs === undefined) throw failureOf(o.what, outcome)
    mayBeThere ||= outcome.kind === 'lost' || outcome.status >= 500
    await o.clock.wait(delayMs, o.signal)
    o.signal.throwIfAborted()
  }
}

type Outcome = { readonly kind: 'status'; readonly status: number } | { readonly kind: 'lost'; readonly cause: unknown }

/** 403 too: the URL may have expired on the way, and the next try has another one. 409: another write was under way. */
const mayRetry = (outcome: Outcome): boolean =>
  outcome.kind === 'lost' || outcome.status >= 500 || [403, 408, 409, 429].includes(outcome.status)

const failureOf = (what: string, outcome: Outcome): CliError =>
  outcome.kind === 'lost'
    ? new CliError(
        'unreachable',
        `${what} could not be sent: the store did not answer; no version was made`,
        exitCodes.unreachable,
        {
          cause: outcome.cause
        }
      )
    : new CliError('upload_failed', `${what} could not be sent: the store answered HTTP ${outcome.status}; no version was made`)

/** `node:http` rather than fetch: it sends the signed headers and no other, and tells how far it got. */
const putOnce = (
  target: PutTarget,
  o: { readonly bytes: Uint8Array; readonly signal: AbortSignal; readonly onSent: (bytes: number) => void }
): Promise<Outcome> =>
  new Promise((resolve) => {
    const lost = (cause: unknown) => resolve({ kind: 'lost', cause })
    const url = new URL(target.url)
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(
      url,
      {
        method: 'PUT',
        headers: { 'content-length': String(o.bytes.length), ...target.headers },
        timeout: idleMs,
        signal: o.signal
      },
      (response) => {
        response.on('error', lost)
        response.on('end', () => resolve({ kind: 'status', status: response.statusCode ?? 0 }))
        response.resume()
      }
    )
    request.on('timeout', () => request.destroy(new Error(`nothing moved for ${idleMs} ms`)))
    request.on('error', lost)

    let sent = 0
    const write = () => {
      while (sent < o.bytes.length) {
        const slice = o.bytes.subarray(sent, sent + sliceBytes)
        sent += slice.length
        const goOn = request.write(slice)
        o.onSent(sent)
        if (!goOn) return void request.once('drain', write)
      }
      request.end()
    }
    write()
  })
