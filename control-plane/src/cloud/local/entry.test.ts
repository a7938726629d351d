import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { systemClock } from '@berth/shared/clock'
import { eventually } from '@berth/shared/testing/eventually'
import { entry } from './entry.ts'
import { ask, open, readAll } from './testing/requests.ts'

describe('the entry', () => {
  const names: Record<string, string> = { 'one.localhost': 'f-one' }
  const arrived: { fleet: string; client: Socket }[] = []
  const lookedUp: string[] = []
  let server: Server
  let port: number

  beforeEach(async () => {
    server = createServer(
      { allowHalfOpen: true },
      entry({
        clock: systemClock,
        fleetOf: (host) => {
          lookedUp.push(host)
          return names[host]
        },
        balance: (fleet, client) => arrived.push({ fleet, client })
      })
    )
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve))
    const address = server.address()
    port = typeof address === 'object' && address ? address.port : 0
  })

  afterEach(() => {
    server.close()
    lookedUp.splice(0)
    for (const { client } of arrived.splice(0)) client.destroy()
  })

  it('leads a connection to the fleet of its first host, with every byte of it', async () => {
    const socket = await open('127.0.0.1', port)
    const request = 'GET / HTTP/1.1\r\nhost: one.localhost:8080\r\n\r\n'
    for (const part of [request.slice(0, 20), request.slice(20)]) socket.write(part)

    const { fleet, client } = await eventually(() => arrived[0])

    assert.equal(fleet, 'f-one')
    client.pipe(client)
    socket.end()
    assert.deepEqual(await readAll(socket), { text: request, how: 'ended' })
  })

  it('looks at the first request alone', async () => {
    const socket = await open('127.0.0.1', port)
    socket.write('GET / HTTP/1.1\r\nhost: one.localhost\r\n\r\n')
    const { client } = await eventually(() => arrived[0])
    client.resume()

    socket.end('GET / HTTP/1.1\r\nhost: other.localhost\r\n\r\n')

    await eventually(() => client.readableEnded)
    assert.deepEqual(lookedUp, ['one.localhost'])
  })

  it('answers an unknown host with a page that names it, also when a body is on its way', async () => {
    const answer = await ask({ host: '127.0.0.1', port, name: 'nobody.localhost' })

    assert.equal(answer.status, 404)
    assert.match(answer.body, /no site with the name nobody\.localhost/)

    const socket = await open('127.0.0.1', port)
    socket.write('POST / HTTP/1.1\r\nhost: nobody.localhost\r\ncontent-length: 100000\r\n\r\n')
    socket.write(Buffer.alloc(100_000))
    socket.end()
    assert.match((await readAll(socket)).text, /^HTTP\/1\.1 404/)
  })

  it('answers a request without a host with a page that says so', async () => {
    const socket = await open('127.0.0.1', port)
    socket.end('GET / HTTP/1.0\r\n\r\n')

    assert.match((await readAll(socket)).text, /^HTTP\/1\.1 400[\s\S]*which host/)
  })

  it('reads no more than its bound from a client that never comes to the point', async () => {
    const socket = await open('127.0.0.1', port)
    const end = readAll(socket)
    socket.write(`GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(4000)}`)

    assert.equal((await end).text, '')
    assert.deepEqual(arrived, [])
    socket.destroy()
  })

  it('tells a TLS client that its name is not known here', async () => {
    const error = await new Promise<Error & { code?: string }>((resolve) => {
      connectTls({ host: '127.0.0.1', port, servername: 'nobody.localhost' }).on('error', resolve)
    })

    assert.match(error.message, /unrecognized.name/i)
  })

  it('leads a TLS connection by the name in its first message', async () => {
    const tls = connectTls({ host: '127.0.0.1', port, servername: 'one.localhost' })
    tls.on('error', () => undefined)

    assert.equal((await eventually(() => arrived[0])).fleet, 'f-one')
    tls.destroy()
  })

  it('closes a connection that says nothing in time', async () => {
    let waits = 0
    const impatient = createServer(
      entry({
        clock: { ...systemClock, wait: async () => void waits++ },
        fleetOf: () => undefined,
        balance: () => assert.fail('led somewhere')
      })
    )
    await new Promise<void>((resolve) => impatient.listen({ host: '127.0.0.1', port: 0 }, resolve))
    const address = impatient.address()
    const socket = await open('127.0.0.1', typeof address === 'object' && address ? address.port : 0)

    assert.equal((await readAll(socket)).text, '')
    assert.equal(waits, 1)
    socket.destroy()
    impatient.close()
  })
})
