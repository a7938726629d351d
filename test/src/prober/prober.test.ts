import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { eventually } from '@berth/shared/testing/eventually'
import type { ProbeKind, ProbeReport } from './ledger.ts'
import { type ProberOptions, startProber } from './prober.ts'
import { sha256, type Target } from './targets.ts'

/** What the server does with the n-th request (from 1) of a connection. */
type Behaviour = (request: { method: string; path: string; body: Buffer; socket: Socket; n: number }) => void

const endings: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of endings.splice(0)) await end()
})

/** A real server over raw sockets, so that it can misbehave in ways that no HTTP library lets one. */
const serve = async (behaviour: Behaviour): Promise<Target> => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    let bytes = Buffer.alloc(0)
    let n = 0
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      const head = bytes.indexOf('\r\n\r\n')
      if (head === -1) return
      const text = bytes.subarray(0, head).toString('latin1')
      const length = Number(/content-length: (\d+)/.exec(text)?.[1] ?? 0)
      if (bytes.length < head + 4 + length) return
      const [method = '', path = ''] = text.split(' ')
      const body = bytes.subarray(head + 4, head + 4 + length)
      bytes = bytes.subarray(head + 4 + length)
      behaviour({ method, path, body, socket, n: ++n })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    host: 'probed.test',
    entry: { address: '127.0.0.1', port: (server.address() as AddressInfo).port }, // a listening TCP server has one
    path: '/',
    judge: (_path, answer) => ({ wrong: answer.body.toString().startsWith('good') ? undefined : 'not the page' }),
    upload: {
      path: '/upload',
      judge: (answer, sent) => ({ wrong: answer.body.toString() === sha256(sent) ? undefined : 'another digest' })
    },
    followsLinks: true
  }
}

const answer = (socket: Socket, body: string, { status = 200, headers = '' } = {}) =>
  socket.write(`HTTP/1.1 ${status} Said\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)

const good: Behaviour = ({ method, path, body, socket }) => {
  if (method === 'POST') return answer(socket, sha256(body))
  answer(socket, path === '/' ? 'good <a href="/a.css">' : 'good', { headers: 'via: 1.1 s-1\r\nx-hello: 2/77\r\n' })
}

const only = (kind: ProbeKind): Pick<ProberOptions, 'lines'> => ({
  lines: { 'keep-alive': 0, 'new-connection': 0, upload: 0, asset: 0, [kind]: 1 }
})

const probe = async (target: Target, options: Partial<ProberOptions>, requests = 20): Promise<ProbeReport> => {
  const prober = startProber({ targets: [target], paceMs: 1, uploadMs: 20, timeoutMs: 5000, ...options })
  try {
    await eventually(() => prober.requests() >= requests, { what: 'enough requests' })
  } finally {
    await prober.stop()
  }
  return prober.stop()
}

const reasons = (report: ProbeReport) => [...new Set(report.failures.map((failure) => failure.reason))]

describe('the prober', () => {
  it('counts every request of every kind, and no failure, where all is well', async () => {
    const report = await probe(await serve(good), {}, 100)

    assert.deepEqual(report.failures, [])
    assert.deepEqual(report.retriedIdleClose, [])
    for (const count of Object.values(report.byKind)) assert.ok(count > 0)
    assert.deepEqual(
      report.versionsSeen['probed.test']?.['s-1']?.map((span) => span.version),
      ['2']
    )
  })

  it('stays on one connection in a keep-alive line and takes a new one for each request in the other', async () => {
    const ports: number[] = []
    const target = await serve((request) => {
      ports.push(request.socket.remotePort ?? 0)
      good(request)
    })

    await probe(target, only('keep-alive'))
    assert.equal(new Set(ports).size, 1)
    ports.length = 0
    await probe(target, only('new-connection'))
    assert.equal(new Set(ports).size, ports.length)
  })

  it('follows the links of a page', async () => {
    const paths = new Set<string>()
    const target = await serve((request) => {
      paths.add(request.path)
      good(request)
    })

    await probe(target, only('asset'))

    assert.deepEqual([...paths], ['/', '/a.css'])
  })

  it('notices an error status, with the server, the worker and the port of the request', async () => {
    const target = await serve(({ socket }) =>
      answer(socket, 'bad', { status: 502, headers: 'via: 1.1 s-9\r\nx-hello: 3/41\r\n' })
    )

    const [failure] = (await probe(target, only('new-connection'), 1)).failures

    assert.equal(failure?.reason, 'status')
    assert.equal(failure.status, 502)
    assert.deepEqual(failure.own, { server: 's-9', worker: { version: '3', pid: 41 } })
    assert.ok(failure.localPort)
  })

  it('notices a connection that is reset in the middle of an answer, and who had begun it', async () => {
    const target = await serve(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nvia: 1.1 s-1\r\nx-hello: 2/77\r\ncontent-length: 10\r\n\r\ngood', () =>
        socket.resetAndDestroy()
      )
    })

    const report = await probe(target, only('keep-alive'), 3)

    assert.equal(report.failures.length, report.requests)
    assert.ok(report.failures.every((failure) => failure.own.worker?.pid === 77 && failure.bytesReceived > 0))
  })

  it('notices a body that is shorter than it was said to be', async () => {
    const target = await serve(({ socket }) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\ngood'))

    assert.deepEqual(reasons(await probe(target, only('new-connection'), 3)), ['closed'])
  })

  it('notices a wrong body under a good status', async () => {
    const target = await serve(({ socket }) => answer(socket, 'other'))

    assert.deepEqual(reasons(await probe(target, only('keep-alive'), 3)), ['wrong-answer'])
  })

  it('notices an answer that does not come in time', async () => {
    const target = await serve(() => undefined)

    assert.deepEqual(reasons(await probe(target, { ...only('keep-alive'), timeoutMs: 50 }, 2)), ['timeout'])
  })

  it('notices that nobody listens', async () => {
    const target = await serve(good)
    await endings.pop()?.()

    assert.deepEqual(reasons(await probe(target, only('new-connection'), 2)), ['connect'])
  })

  it('notices bytes that no request had asked for, behind an answer and on an idle connection', async () => {
    const bytes = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood'
    const behind = await serve(({ socket }) => socket.write(`${bytes}${bytes}`))
    const idle = await serve(({ socket }) => socket.write(bytes, () => setTimeout(() => socket.write(bytes), 5)))

    assert.deepEqual(reasons(await probe(behind, only('new-connection'), 3)), ['unasked-bytes'])
    assert.deepEqual(reasons(await probe(idle, { ...only('keep-alive'), paceMs: 50 }, 3)), ['unasked-bytes'])
  })

  it('notices an upload whose digest comes back wrong, and one that is cut off, and never sends one twice', async () => {
    let uploads = 0
    const target = await serve((request) => {
      if (request.method === 'GET') return good(request)
      uploads++
      if (uploads % 2 === 0) return request.socket.destroy()
      answer(request.socket, 'no digest')
    })

    const report = await probe(target, only('upload'), 8)

    assert.deepEqual(new Set(reasons(report)), new Set(['wrong-answer', 'closed']))
    assert.equal(report.failures.length, uploads)
    assert.deepEqual(report.retriedIdleClose, [])
  })

  it('notices a dead link of a page', async () => {
    const target = await serve((request) =>
      request.path === '/' ? good(request) : answer(request.socket, 'gone', { status: 404 })
    )

    const report = await probe(target, only('asset'))

    assert.ok(report.failures.length > 0)
    assert.ok(report.failures.every((failure) => failure.path === '/a.css' && failure.status === 404))
  })

  it('tries a GET once more when an idle connection closed as it was written, and says so', async () => {
    const target = await serve((request) => (request.n > 1 ? request.socket.destroy() : good(request)))

    const report = await probe(target, only('keep-alive'))

    assert.deepEqual(report.failures, [])
    assert.ok(report.retriedIdleClose.length > 0)
  })

  it('does not try again on a connection that was new, nor after one byte of an answer', async () => {
    const neverAnswers = await serve(({ socket }) => socket.destroy())
    const breaksOff = await serve((request) => {
      if (request.n === 1) return good(request)
      request.socket.write('H', () => request.socket.destroy())
    })

    const [first, second] = [await probe(neverAnswers, only('keep-alive'), 3), await probe(breaksOff, only('keep-alive'), 4)]

    assert.equal(first.failures.length, first.requests)
    assert.ok(second.failures.length > 0)
    assert.deepEqual([...first.retriedIdleClose, ...second.retriedIdleClose], [])
  })

  it('does not call it a crossing when the close came long after the request', async () => {
    const target = await serve((request) => {
      if (request.n === 1) return good(request)
      setTimeout(() => request.socket.destroy(), 100)
    })

    const report = await probe(target, { ...only('keep-alive'), crossingMs: 20 }, 4)

    assert.ok(report.failures.length > 0)
    assert.deepEqual(report.retriedIdleClose, [])
  })

  it('witnesses each request that was under way at a moment', async () => {
    const target = await serve(() => undefined)
    const prober = startProber({ targets: [target], ...only('keep-alive'), timeoutMs: 500 })

    await eventually(() => prober.inFlight().length === 1)
    const { inFlight, result } = await prober.witness(async () => 'killed')
    await prober.stop()

    assert.equal(result, 'killed')
    assert.deepEqual(
      inFlight.map(({ method, path }) => `${method} ${path}`),
      ['GET /']
    )
  })
})
