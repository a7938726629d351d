import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import type { Clock } from '@berth/shared/clock'
import type { Dispatcher } from 'undici'
import { headersToClient, headersToWorker, type RawHeaders } from './headers.ts'
import { answerPage, type PageStatus } from './pages.ts'
import type { Passenger, UpstreamPool, Worker } from './pools.ts'
import type { Target } from './target.ts'

/** What the table says about a request's target, read afresh at each attempt: a held request follows a swap. */
export type Destination =
  | { readonly kind: 'pool'; readonly pool: UpstreamPool; readonly path: string }
  | { readonly kind: 'failed' }
  | { readonly kind: 'unknown' }

export type ExchangeContext = {
  readonly find: (target: Target) => Destination
  readonly clock: Clock
  /** Our own line in an answer's headers. */
  readonly via: string
  /** Whether clients are told that there will be no next answer on their connection. */
  readonly isDraining: () => boolean
  /** How long a request may wait for a worker that can be reached. */
  readonly holdMsMax: number
  /** How much more of an upload is taken in after its worker answered without it. */
  readonly discardMax: { readonly bytes: number; readonly ms: number }
}

/** One request and its answer. `tunnel` is there when the client asked for a WebSocket. */
export type Exchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly target: Target
  readonly tunnel?: { readonly socket: Socket; readonly head: Buffer }
}

/** One exchange on its way, through however many attempts. */
type Trip = Exchange & {
  readonly context: ExchangeContext
  readonly deadline: number
  readonly hasBody: boolean
  /** Once more, when the worker was lost before the first byte of its answer. */
  repeatsLeft: number
  isGone: boolean
  /** Ends what is under way for a client that is gone. */
  abandon: (() => void) | undefined
}

/**
 * Carries one request to a worker and the answer back. As long as no byte of it was sent it is tried until the deadline,
 * whatever its method; a GET or HEAD of which no byte of an answer came is tried once more.
 */
export const carry = (context: ExchangeContext, exchange: Exchange): void => {
  const { request, response, tunnel } = exchange
  const hasBody = request.headers['transfer-encoding'] !== undefined || !isZero(request.headers['content-length'])
  const isRepeatable = (request.method === 'GET' || request.method === 'HEAD') && !hasBody && !tunnel
  const trip: Trip = {
    ...exchange,
    context,
    deadline: context.clock.now().getTime() + context.holdMsMax,
    hasBody,
    repeatsLeft: isRepeatable ? 1 : 0,
    isGone: false,
    abandon: undefined
  }
  if (tunnel) tunnel.socket.once('close', () => hangUp(trip))
  else response.once('close', () => response.writableFinished || hangUp(trip))
  attempt(trip)
}

const hangUp = (trip: Trip): void => {
  if (trip.isGone) return
  trip.isGone = true
  trip.abandon?.()
}

const fail = ({ isGone, request, response }: Trip, status: PageStatus): void => {
  if (!isGone) answerPage(request, response, status)
}

/** Sends the request where the table says right now; `except` is a worker that just failed. */
const attempt = (trip: Trip, except?: Worker): void => {
  if (trip.isGone) return
  const destination = trip.context.find(trip.target)
  if (destination.kind === 'unknown') fail(trip, 404)
  else if (destination.kind === 'failed' || destination.pool.isFull()) fail(trip, 503)
  else {
    const worker = destination.pool.pick(except)
    if (worker) send(trip, destination.pool, worker, destination.path)
    else void hold(trip, destination.pool)
  }
}

/** Waits for a worker, for another table or for the deadline, and tries again. */
const hold = async (trip: Trip, pool: UpstreamPool): Promise<void> => {
  const { clock } = trip.context
  const remainingMs = trip.deadline - clock.now().getTime()
  if (remainingMs <= 0) return fail(trip, 503)
  const over = new AbortController()
  trip.abandon = () => over.abort()
  void clock.wait(remainingMs, over.signal).then(() => over.abort())
  await pool.waitForChange(over.signal)
  over.abort()
  attempt(trip)
}

const send = (trip: Trip, pool: UpstreamPool, worker: Worker, path: string): void => {
  const { request, response, target, tunnel, hasBody } = trip
  const passenger: Passenger = {
    cut: () => {
      if (tunnel) tunnel.socket.destroy()
      else response.destroy()
      hangUp(trip)
    }
  }
  pool.board(passenger, worker)
  const options: Dispatcher.DispatchOptions = {
    // The type lists a few methods; undici sends every token.
    method: request.method as Dispatcher.HttpMethod,
    path: target.url,
    headers: headersToWorker(request, target, path),
    // The type forgets iterables, which undici takes.
    body: hasBody ? (bodyOf(request, trip.context) as unknown as Readable) : null,
    upgrade: tunnel ? 'websocket' : null
  }
  const leave = () => pool.leave(passenger, worker)
  const { dispatcher } = worker
  const lose = () => {
    pool.renew(worker, dispatcher)
    pool.markDown(worker)
  }
  dispatcher.dispatch(options, receiver(trip, pool, worker, { leave, lose }))
}

/** Takes the answer in: undici's plain handler, as its newer one makes an object of every header, at much of the speed. */
const receiver = (
  trip: Trip,
  pool: UpstreamPool,
  worker: Worker,
  { leave, lose }: { readonly leave: () => void; readonly lose: () => void }
): Dispatcher.DispatchHandler => {
  const { context, response, tunnel } = trip
  let isSent = false
  let isAnswered = false
  let resumeWorker: (() => void) | undefined
  return {
    onConnect: (abort) => {
      isSent = true
      trip.abandon = abort
      if (trip.isGone) abort()
    },
    onHeaders: (status, rawHeaders, resume, statusText) => {
      if (status < 200) return true
      isAnswered = true
      resumeWorker = resume
      response.on('drain', resume)
      if (context.isDraining()) response.shouldKeepAlive = false
      response.writeHead(status, statusText, headersToClient(rawHeaders, context.via))
      return true
    },
    onData: (chunk) => response.write(chunk),
    onComplete: () => {
      if (resumeWorker) response.off('drain', resumeWorker)
      response.end()
      leave()
    },
    onUpgrade: (status, rawHeaders, workerSocket) => {
      workerSocket.once('close', leave)
      // undici is done with it; its abort would count this request out twice.
      trip.abandon = () => workerSocket.destroy()
      if (!tunnel || trip.isGone) workerSocket.destroy()
      else splice(tunnel, workerSocket, status, headersToClient(rawHeaders ?? [], context.via))
    },
    onError: (error) => {
      leave()
      trip.abandon = undefined
      if (trip.isGone) return
      if (isAnswered) response.destroy()
      else if (isOurMistake(error)) fail(trip, 400)
      else if (!isSent) {
        pool.markDown(worker)
        attempt(trip, worker)
      } else if (trip.repeatsLeft > 0) {
        trip.repeatsLeft--
        // Its other connections may have broken at the same moment, and it may be gone: the repeat must not meet either.
        lose()
        attempt(trip, worker)
      } else fail(trip, 502)
    }
  }
}

const isZero = (contentLength: string | undefined): boolean => contentLength === undefined || /^0+$/.test(contentLength)

// undici refuses a request whose parts it would not send, before it sends any.
const isOurMistake = (error: Error): boolean =>
  'code' in error && (error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED')

/**
 * The body as undici reads it: not before a connection stands, so that a refused connection costs nothing of it. An upload
 * that the client broke off throws, so that the worker sees a broken one, too, never a short one.
 */
async function* bodyOf(request: IncomingMessage, context: ExchangeContext): AsyncGenerator<Buffer> {
  try {
    yield* request.iterator({ destroyOnReturn: false })
  } finally {
    if (!request.readableEnded && !request.destroyed) void discard(request, context)
  }
}

/**
 * Takes in what is left of an upload that its worker answered early, so that the client reads the answer and may ask again
 * on its connection. An upload that goes on for too long ends with its connection.
 */
const discard = async (request: IncomingMessage, { clock, discardMax }: ExchangeContext): Promise<void> => {
  const over = new AbortController()
  let bytesLeft = discardMax.bytes
  request.on('data', (chunk: Buffer) => {
    bytesLeft -= chunk.length
    if (bytesLeft < 0) over.abort()
  })
  request.once('end', () => over.abort())
  request.once('close', () => over.abort())
  // An upload that breaks off now is nobody's any more.
  request.on('error', () => undefined)
  request.resume()
  await clock.wait(discardMax.ms, over.signal)
  if (!request.complete) request.socket.destroy()
}

/** Joins client and worker after a 101; from here on nobody reads what they tell each other. */
const splice = (
  { socket, head }: { readonly socket: Socket; readonly head: Buffer },
  workerSocket: Duplex,
  status: number,
  headers: RawHeaders
): void => {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'connection: Upgrade', 'upgrade: websocket']
  for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`)
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  // A tunnel may be silent as long as it likes.
  socket.setTimeout(0)
  if (head.length > 0) workerSocket.write(head)
  for (const [from, to] of [
    [socket, workerSocket],
    [workerSocket, socket]
  ] as const) {
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
    from.pipe(to)
  }
}
