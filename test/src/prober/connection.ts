import { connect, type Socket } from 'node:net'
import { type Answer, type AnswerHead, readAnswer } from './answer.ts'

export type Endpoint = { readonly address: string; readonly port: number }

export type ProbeRequest = {
  readonly method: 'GET' | 'POST'
  readonly host: string
  readonly path: string
  /** A body that is sent bit by bit, and how many bytes it has. */
  readonly body?: { readonly bytes: number; readonly parts: () => AsyncIterable<Buffer> }
}

export type FailureReason = 'connect' | 'reset' | 'closed' | 'timeout' | 'not-http' | 'unasked-bytes'

/** What became of one request, whatever became of it: the bytes, the port and the times that a proof needs. */
export type Exchange = {
  readonly localPort: number | undefined
  readonly startedAt: number
  readonly endedAt: number
  readonly bytesReceived: number
} & (
  | { readonly outcome: 'answered'; readonly answer: Answer }
  | {
      readonly outcome: 'failed'
      readonly reason: FailureReason
      readonly detail: string
      /** The head of an answer that then broke off. */
      readonly head: AnswerHead | undefined
    }
)

export type Connection = {
  readonly localPort: number | undefined
  /** Exchanges begun so far. */
  readonly exchanges: () => number
  /** False once the other side has closed, or an answer said that it will. */
  readonly isUsable: () => boolean
  /** One request and its answer. Never rejects. */
  readonly exchange: (request: ProbeRequest, timeoutMs: number) => Promise<Exchange>
  readonly close: () => void
}

/** Ends the exchange under way: `bytes` came, or the connection is gone. */
type Pending = { readonly received: (bytes: Buffer) => void; readonly gone: (reason: FailureReason, detail: string) => void }

/** Opens a TCP connection; a failed opening is an exchange's failure, so it is answered as one. */
export const openConnection = (endpoint: Endpoint, timeoutMs: number): Promise<Connection | Exchange> => {
  const startedAt = Date.now()
  return new Promise((resolve) => {
    const socket = connect({ host: endpoint.address, port: endpoint.port, noDelay: true })
    const failed = (reason: FailureReason, detail: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({
        outcome: 'failed',
        reason,
        detail,
        head: undefined,
        localPort: undefined,
        startedAt,
        endedAt: Date.now(),
        bytesReceived: 0
      })
    }
    const timer = setTimeout(() => failed('timeout', `no connection within ${timeoutMs} ms`), timeoutMs)
    const onError = (error: NodeJS.ErrnoException) => failed('connect', error.code ?? error.message)
    socket.once('error', onError)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', onError)
      resolve(connectionOver(socket))
    })
  })
}

export const isConnection = (opened: Connection | Exchange): opened is Connection => 'exchange' in opened

const connectionOver = (socket: Socket): Connection => {
  // Asked now: a destroyed socket no longer knows its port.
  const localPort = socket.localPort
  let pending: Pending | undefined
  let gone: { reason: FailureReason; detail: string } | undefined
  let mayContinue = true
  let begun = 0

  const lose = (reason: FailureReason, detail: string) => {
    gone ??= { reason, detail }
    socket.destroy()
    pending?.gone(gone.reason, gone.detail)
  }
  socket.on('data', (bytes) => {
    if (pending) return pending.received(bytes)
    lose('unasked-bytes', `${bytes.length} bytes came that no request had asked for`)
  })
  socket.on('error', (error: NodeJS.ErrnoException) => lose('reset', error.code ?? error.message))
  socket.on('end', () => lose('closed', 'the other side closed the connection'))
  socket.on('close', () => lose('closed', 'the connection closed'))

  const exchange = (request: ProbeRequest, timeoutMs: number): Promise<Exchange> => {
    begun++
    const startedAt = Date.now()
    const chunks: Buffer[] = []
    let bytesReceived = 0
    return new Promise((resolve) => {
      const finish = (
        result:
          | { outcome: 'answered'; answer: Answer }
          | { outcome: 'failed'; reason: FailureReason; detail: string; head: AnswerHead | undefined }
      ) => {
        clearTimeout(timer)
        pending = undefined
        if (result.outcome === 'failed') socket.destroy()
        else mayContinue = result.answer.keepsAlive
        resolve({ ...result, localPort, startedAt, endedAt: Date.now(), bytesReceived })
      }
      const read = (ended: boolean, onMore: (head: AnswerHead | undefined) => void) => {
        const reading = readAnswer(Buffer.concat(chunks), ended)
        if (reading.state === 'more') return onMore(reading.head)
        if (reading.state === 'bad')
          return finish({ outcome: 'failed', reason: 'not-http', detail: reading.why, head: reading.head })
        const rest = bytesReceived - reading.bytes
        if (rest === 0) return finish({ outcome: 'answered', answer: reading.answer })
        finish({ outcome: 'failed', reason: 'unasked-bytes', detail: `${rest} bytes follow the answer`, head: reading.answer })
      }
      const timer = setTimeout(() => {
        read(false, (head) => finish({ outcome: 'failed', reason: 'timeout', detail: `no answer within ${timeoutMs} ms`, head }))
      }, timeoutMs)
      if (gone) return finish({ outcome: 'failed', ...gone, head: undefined })
      pending = {
        received: (bytes) => {
          chunks.push(bytes)
          bytesReceived += bytes.length
          read(false, () => undefined)
        },
        gone: (reason, detail) => read(reason === 'closed', (head) => finish({ outcome: 'failed', reason, detail, head }))
      }
      void send(socket, request, () => pending !== undefined)
    })
  }

  return {
    localPort,
    exchanges: () => begun,
    // Unasked bytes are not a reason to turn away quietly: the next exchange on this connection reports them.
    isUsable: () => gone?.reason === 'unasked-bytes' || (!gone && mayContinue && !socket.destroyed),
    exchange,
    close: () => socket.destroy()
  }
}

/** Writes the request. A failed write needs no answer of its own: the socket's `error` and `close` tell the exchange. */
const send = async (socket: Socket, request: ProbeRequest, isUnderWay: () => boolean): Promise<void> => {
  const length = request.body ? `content-length: ${request.body.bytes}\r\n` : ''
  socket.write(`${request.method} ${request.path} HTTP/1.1\r\nhost: ${request.host}\r\nuser-agent: berth-prober\r\n${length}\r\n`)
  if (!request.body) return
  for await (const part of request.body.parts()) {
    // Answered, or broken, before the body was sent: the rest would only fall into a void.
    if (!isUnderWay()) return
    socket.write(part)
  }
}
