import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import { connect } from 'node:tls'
import fc from 'fast-check'
import { readFirstBytes } from './first-bytes.ts'

/** What a real TLS client says first. */
const clientHello = (servername: string | undefined): Promise<Buffer> =>
  new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.once('data', (bytes) => {
        resolve(bytes)
        socket.destroy()
        server.close()
      })
    })
    server.listen({ host: '127.0.0.1', port: 0 }, () => {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      connect({ host: '127.0.0.1', port, ...(servername === undefined ? {} : { servername }) }).on('error', () => undefined)
    })
  })

const http = (...lines: string[]) => Buffer.from(`${['GET / HTTP/1.1', ...lines].join('\r\n')}\r\n\r\n`)
const hostOf = (bytes: Buffer) => {
  const found = readFirstBytes(bytes)
  return found.kind === 'host' ? found.host : found.kind
}

describe('the first bytes of a connection', () => {
  it('name the host of an HTTP request, without its port, its last dot and its capitals', () => {
    assert.equal(hostOf(http('Accept: */*', 'HOST:  Shop.Example.COM:8080 ')), 'shop.example.com')
    assert.equal(hostOf(http('host: shop.localhost.')), 'shop.localhost')
  })

  it('are enough as soon as the line with the host is whole', () => {
    assert.equal(hostOf(Buffer.from('POST /x HTTP/1.1\r\nhost: a.localhost\r\ncontent-')), 'a.localhost')
    assert.equal(hostOf(Buffer.from('POST /x HTTP/1.1\r\nhost: a.local')), 'more')
  })

  it('say that there is no host when the head ends without one', () => {
    assert.deepEqual(readFirstBytes(http('accept: */*')), { kind: 'none', tls: false })
    assert.deepEqual(readFirstBytes(http('host:')), { kind: 'none', tls: false })
  })

  it('do not take a host from the body or the request line', () => {
    assert.equal(hostOf(Buffer.from('GET /\r\n\r\nhost: evil.localhost\r\n')), 'none')
    assert.equal(hostOf(Buffer.from('host: evil.localhost\r\nhost: good.localhost\r\n\r\n')), 'good.localhost')
  })

  it('name the host that a TLS client asks for', async () => {
    const hello = await clientHello('Shop.Example.com')

    assert.deepEqual(readFirstBytes(hello), { kind: 'host', host: 'shop.example.com', tls: true })
  })

  it('say so when a TLS client names no host', async () => {
    assert.deepEqual(readFirstBytes(await clientHello(undefined)), { kind: 'none', tls: true })
  })

  it('name the same host however they are cut into pieces', async () => {
    for (const whole of [await clientHello('shop.localhost'), http('accept: */*', 'host: shop.localhost')])
      for (let length = 0; length < whole.length; length++)
        assert.ok(['more', 'shop.localhost'].includes(hostOf(whole.subarray(0, length))), `cut at ${length}`)
  })

  it('name the host of a ClientHello that comes in several records', async () => {
    const hello = await clientHello('shop.localhost')
    const [head, payload] = [hello.subarray(0, 3), hello.subarray(5)]
    const record = (part: Buffer) => Buffer.concat([head, Buffer.from([part.length >> 8, part.length & 0xff]), part])

    assert.equal(hostOf(Buffer.concat([record(payload.subarray(0, 50)), record(payload.subarray(50))])), 'shop.localhost')
  })

  it('never make the reader fail, whatever they are', async () => {
    const hello = await clientHello('shop.localhost')
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readFirstBytes(Buffer.from(bytes))))
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, value) => {
        const damaged = Buffer.from(hello)
        damaged[at] = value
        readFirstBytes(damaged)
      }),
      { numRuns: 2000 }
    )
  })
})
