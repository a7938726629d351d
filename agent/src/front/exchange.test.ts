import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { request as ask } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { eventually } from '@berth/shared/testing/eventually'
import { type Bench, createBench } from '../testing/front-bench.ts'
import { host, releaseNamed, routeTo, sendRaw, startWebWorker } from '../testing/web-workers.ts'

let bench: Bench
beforeEach(() => {
  bench = createBench()
})
afterEach(() => bench.close())

const close = 'host: a.test\r\nconnection: close\r\n'

describe('an exchange', () => {
  it('passes the bytes of both bodies as they are, with and without a length', async () => {
    const echo = await bench.worker((incoming, response) => {
      const length = incoming.headers['content-length']
      response.writeHead(200, length === undefined ? {} : { 'content-length': length })
      incoming.pipe(response)
    })
    const { ask } = await bench.serve([routeTo([echo])])
    const bytes = randomBytes(3_000_000)
    const digest = createHash('sha256').update(bytes).digest('hex')
    async function* chunks() {
      for (let at = 0; at < bytes.length; at += 70_000) yield bytes.subarray(at, at + 70_000)
    }

    const measured = await ask('/', { method: 'POST', body: chunks(), headers: { 'content-length': String(bytes.length) } })
    const chunked = await ask('/', { method: 'POST', body: chunks() })

    assert.equal(measured.headers['content-length'], String(bytes.length))
    assert.equal(chunked.headers['content-length'], undefined)
    for (const answer of [measured, chunked])
      assert.equal(
        createHash('sha256')
          .update(Buffer.from(await answer.body.arrayBuffer()))
          .digest('hex'),
        digest
      )
  })

  it('passes each part of an answer on when it comes', async () => {
    const next = Promise.withResolvers<void>()
    const telling = await bench.worker(async (_, response) => {
      response.write('first')
      await next.promise
      response.end('second')
    })
    const { ask } = await bench.serve([routeTo([telling])])

    const { body } = await ask('/')
    const parts: string[] = []
    for await (const part of body) {
      parts.push(String(part))
      next.resolve()
    }

    assert.deepEqual(parts, ['first', 'second'])
  })

  it('lets a slow client slow the worker down instead of keeping what it does not read', async () => {
    let written = 0
    let isStopped = false
    const pouring = await bench.worker((_, response) => {
      const pour = () => {
        while (response.write(Buffer.alloc(65_536))) written += 65_536
        isStopped = true
        response.once('drain', pour)
      }
      pour()
    })
    const { port } = await bench.serve([routeTo([pouring])])
    const socket = connect(port, host)
    socket.on('error', () => undefined)
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nhost: a.test\r\n\r\n')

    await eventually(() => isStopped)
    let before = -1
    await eventually(
      () => {
        const isSteady = written === before
        before = written
        return isSteady
      },
      { everyMs: 300 }
    )
    socket.destroy()

    // The sockets' own buffers on the way, in the kernel, are what it takes to stand still.
    assert.ok(written < 64 * 1024 * 1024, `${written} bytes were taken off the worker`)
  })

  it('keeps what belongs to a connection on that connection', async () => {
    const echo = await bench.worker((incoming, response) => {
      response.setHeader('connection', 'keep-alive, x-mine')
      response.setHeader('x-mine', 'worker')
      response.setHeader('set-cookie', ['a=1', 'b=2'])
      response.end(JSON.stringify(incoming.headers))
    })
    const { port } = await bench.serve([routeTo([echo])])

    const answer = await sendRaw(
      port,
      `GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close, x-secret, content-length\r\nx-secret: 1\r\nte: trailers\r\nkeep-alive: 9\r\n\r\n`
    )

    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(answer, /set-cookie: a=1\r\nset-cookie: b=2\r\n/)
    assert.doesNotMatch(answer, /x-mine|x-secret|"te"|"keep-alive":/)
  })

  it('answers HEAD, 204 and 304 without a body and with the right headers', async () => {
    const telling = await bench.worker((incoming, response) => {
      const status = Number(incoming.url?.slice(1))
      response.writeHead(status, status === 200 ? { 'content-length': 5 } : { etag: '"x"' })
      response.end(status === 200 ? 'hello' : undefined)
    })
    const { port } = await bench.serve([routeTo([telling])])

    const head = await sendRaw(port, `HEAD /200 HTTP/1.1\r\n${close}\r\n`)
    const [empty, same] = [
      await sendRaw(port, `GET /204 HTTP/1.1\r\n${close}\r\n`),
      await sendRaw(port, `GET /304 HTTP/1.1\r\n${close}\r\n`)
    ]

    assert.match(head, /content-length: 5\r\n/)
    assert.ok(head.endsWith('\r\n\r\n'))
    for (const [status, answer] of [
      [204, empty],
      [304, same]
    ] as const) {
      assert.ok(answer.startsWith(`HTTP/1.1 ${status} `))
      assert.match(answer, /etag: "x"\r\n/)
      assert.doesNotMatch(answer, /transfer-encoding|content-length/)
      assert.ok(answer.endsWith('\r\n\r\n'))
    }
  })

  it('serves a client of HTTP/1.0, and asks it to be clear where it wants to go', async () => {
    const chunking = await bench.worker((_, response) => {
      response.write('hel')
      response.end('lo')
    })
    const { port } = await bench.serve([routeTo([chunking])])

    const answer = await sendRaw(port, 'GET / HTTP/1.0\r\nhost: a.test\r\n\r\n')
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
    assert.doesNotMatch(answer, /transfer-encoding/)
    assert.ok(answer.endsWith('\r\n\r\nhello'))
    assert.match(await sendRaw(port, 'GET / HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 400 /)
    assert.match(await sendRaw(port, 'GET http://a.test/x HTTP/1.1\r\nhost: b.test\r\nconnection: close\r\n\r\n'), / 200 OK/)
  })

  it('refuses what two readers could read in two ways', async () => {
    let seen = 0
    const counting = await bench.worker((_, response) => {
      seen++
      response.end()
    })
    const { port } = await bench.serve([routeTo([counting])])
    const refused = [
      `POST / HTTP/1.1\r\n${close}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.1\r\n${close}content-length: 4\r\ncontent-length: 5\r\n\r\nabcd`,
      `POST / HTTP/1.1\r\n${close}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.1\r\n${close}transfer-encoding : chunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.1\r\n${close}content-length: +4\r\n\r\nabcd`,
      `GET / HTTP/1.1\r\n${close}host: b.test\r\n\r\n`,
      `GET / HTTP/1.1\r\nconnection: close\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: a.test@b.test\r\nconnection: close\r\n\r\n`,
      `GET / HTTP/1.1\r\n${close}x: a\nb: c\r\n\r\n`,
      `GET / HTTP/1.1\r\n${close} folded: x\r\n\r\n`
    ]

    for (const bytes of refused) {
      const answer = await sendRaw(port, bytes)
      assert.match(answer, /^HTTP\/1\.1 (400|501) /, bytes)
      assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, bytes)
    }
    assert.equal(seen, 0)
    assert.match(await sendRaw(port, `GET / HTTP/1.1\r\n${close}x: ${'y'.repeat(33_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /)
  })

  it('breaks off an answer that its worker broke off, so that nobody takes the part for the whole', async () => {
    const breaking = await bench.worker((incoming, response) => {
      response.write('part')
      setImmediate(() => incoming.socket.destroy())
    })
    const { ask } = await bench.serve([routeTo([breaking])])

    await assert.rejects(async () => (await ask('/')).body.text())
  })

  it('joins a WebSocket to its worker, byte by byte, and counts it as long as it is open', async () => {
    const echo = await startWebWorker(() => undefined)
    echo.server.on('upgrade', (incoming, socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${incoming.headers['sec-websocket-key']}\r\n\r\n`
      )
      socket.on('data', (chunk: Buffer) => socket.write(chunk.toString().toUpperCase()))
      socket.on('error', () => undefined)
      socket.on('end', () => socket.end())
    })
    const { front, port } = await bench.serve([routeTo([echo])])
    const heard: string[] = []

    const upgrade = ask({
      host,
      port,
      headers: { host: 'a.test', connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'k1' }
    })
    upgrade.end()
    const socket = await new Promise<import('node:stream').Duplex>((resolve, reject) => {
      upgrade.once('upgrade', (response, opened) => {
        assert.equal(response.statusCode, 101)
        assert.equal(response.headers['sec-websocket-accept'], 'k1')
        assert.equal(response.headers.via, '1.1 s-test')
        resolve(opened)
      })
      upgrade.once('error', reject)
    })
    socket.on('data', (chunk: Buffer) => heard.push(String(chunk)))
    socket.write('ahoy')
    await eventually(() => heard.join('') === 'AHOY')
    bench.swap(front, [routeTo([echo], { release: releaseNamed('b') })])
    assert.equal(front.stats().pools.find(({ routed }) => !routed)?.inFlight, 1)
    socket.write(' there')
    await eventually(() => heard.join('') === 'AHOY THERE')
    socket.end()

    await eventually(() => front.stats().pools.every(({ inFlight }) => inFlight === 0))
    await echo.kill()
  })

  it('passes on the answer of a worker that wants no WebSocket, and offers no other protocol', async () => {
    const plain = await bench.worker((incoming, response) => response.end(`plain ${incoming.headers.upgrade ?? 'http'}`))
    const { port } = await bench.serve([routeTo([plain])])

    const refused = await sendRaw(port, 'GET / HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
    const other = await sendRaw(port, 'GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n')
    const nowhere = await sendRaw(port, 'GET / HTTP/1.1\r\nhost: x.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')

    assert.match(refused, / 200 OK[\s\S]*plain websocket/)
    assert.match(other, / 200 OK[\s\S]*plain http/)
    assert.match(nowhere, /^HTTP\/1\.1 404 /)
  })

  it('ends a connection that asks for a WebSocket behind a request whose answer is still to come, and nothing else', async () => {
    const hanging = await bench.worker((incoming, response) => {
      if (incoming.url !== '/slow') response.end('good')
    })
    const { front, port, ask: askFront } = await bench.serve([routeTo([hanging])])

    const answer = await sendRaw(
      port,
      'GET /slow HTTP/1.1\r\nhost: a.test\r\n\r\nGET /ws HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'
    )

    assert.equal(answer, '')
    await eventually(() => front.stats().pools.every(({ inFlight }) => inFlight === 0))
    assert.equal(await (await askFront('/')).body.text(), 'good')
  })

  it('keeps a connection usable whose upload the worker answered early, and ends it when the upload never ends', async () => {
    const refusing = await bench.worker((incoming, response) => {
      response.statusCode = incoming.method === 'POST' ? 401 : 200
      response.end(incoming.method === 'POST' ? 'no' : 'yes')
    })
    const { port } = await bench.serve([routeTo([refusing])])
    const open = () => {
      const socket = connect(port, host)
      let heard = ''
      socket.on('data', (chunk: Buffer) => {
        heard += chunk
      })
      socket.on('error', () => undefined)
      return { socket, heard: () => heard }
    }
    const size = 4_000_000

    const polite = open()
    polite.socket.write(`POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: ${size}\r\n\r\nx`)
    await eventually(() => / 401 [\s\S]*no$/.test(polite.heard()))
    polite.socket.write(Buffer.alloc(size - 1))
    polite.socket.write(`GET / HTTP/1.1\r\nhost: a.test\r\n\r\n`)
    await eventually(() => / 200 [\s\S]*yes$/.test(polite.heard()))
    polite.socket.destroy()

    const endless = open()
    endless.socket.write(`POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 100000000000\r\n\r\nx`)
    await eventually(() => / 401 /.test(endless.heard()))
    const pour = () => {
      while (!endless.socket.destroyed && endless.socket.write(Buffer.alloc(65_536)));
    }
    endless.socket.on('drain', pour)
    pour()
    await eventually(() => endless.socket.destroyed)
  })

  it('passes on the whole of a large answer to a client that wanted a WebSocket', async () => {
    const size = 20_000_000
    const plain = await bench.worker((_, response) => response.end(Buffer.alloc(size, 'x')))
    const { front, port } = await bench.serve([routeTo([plain])])

    const answer = await sendRaw(port, 'GET / HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')

    assert.equal(answer.length - answer.indexOf('\r\n\r\n') - 4, size)
    await eventually(() => front.stats().pools.every(({ inFlight }) => inFlight === 0))
  })

  it('ends connections whose clients stand still, in their upload or in their reading, and waits on for a slow worker', async () => {
    const next = Promise.withResolvers<void>()
    const worker = await bench.worker(async (incoming, response) => {
      if (incoming.url === '/large') response.end(Buffer.alloc(50_000_000))
      else if (incoming.url === '/slow') {
        await next.promise
        response.end('slow')
      } else incoming.resume()
    })
    const { front, port, ask: askFront } = await bench.serve([routeTo([worker])], { idleMsMax: 200, connectionsMax: 100 })
    const stand = (bytes: string) => {
      const socket = connect(port, host)
      socket.on('error', () => undefined)
      socket.pause()
      socket.write(bytes)
      return socket
    }

    const slow = askFront('/slow')
    const uploading = stand('POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 100\r\n\r\nx')
    const reading = stand('GET /large HTTP/1.1\r\nhost: a.test\r\n\r\n')
    await eventually(() => front.stats().requests === 3)
    await eventually(() => front.stats().pools[0]?.inFlight === 1)
    next.resolve()

    assert.equal(await (await slow).body.text(), 'slow')
    uploading.destroy()
    reading.destroy()
  })

  it('takes no more connections than it may have', async () => {
    const good = await bench.saying('good')
    const { port } = await bench.serve([routeTo([good])], { idleMsMax: 60_000, connectionsMax: 1 })
    const first = connect(port, host)
    await new Promise((resolve) => first.once('connect', resolve))

    assert.equal(await sendRaw(port, `GET / HTTP/1.1\r\n${close}\r\n`).catch(() => ''), '')
    first.destroy()

    await eventually(async () => (await sendRaw(port, `GET / HTTP/1.1\r\n${close}\r\n`).catch(() => '')).endsWith('good'))
  })
})
