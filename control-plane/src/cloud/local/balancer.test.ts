import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { eventually } from '@berth/shared/testing/eventually'
import { balancer } from './balancer.ts'
import type { BalancerTable } from './table.ts'
import { freePort } from './testing/cloud.ts'
import { ask, keptAlive, open, readAll } from './testing/requests.ts'

type TestServer = Awaited<ReturnType<typeof startServer>>
const ending: (() => unknown)[] = []

/** A server in this process that says who it is, and that can be sick, slow or dead. */
const startServer = async (server: string, port = 0, paths: { sick?: boolean } = {}) => {
  const state = { sick: paths.sick ?? false, requests: 0, held: [] as (() => void)[] }
  const sockets = new Set<Socket>()
  const listener = createServer((incoming, outgoing) => {
    if (incoming.url === '/.berth/ready') return void outgoing.writeHead(state.sick ? 503 : 200).end()
    state.requests += 1
    if (incoming.url !== '/held') return void outgoing.end(server)
    outgoing.write('begun ')
    state.held.push(() => outgoing.end('ended'))
  })
  listener.keepAliveTimeout = 60_000
  listener.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => listener.listen({ host: '127.0.0.1', port }, resolve))
  const address = listener.address()
  const die = () => {
    listener.close()
    for (const socket of sockets) socket.destroy()
  }
  ending.push(die)
  return { server, state, listener, die, port: typeof address === 'object' && address ? address.port : 0 }
}

const rowOf = ({ server, port }: { server: string; port: number }, changes: { routed?: boolean; proven?: boolean } = {}) => ({
  server,
  address: '127.0.0.1',
  port,
  routed: true,
  proven: false,
  ...changes
})

const start = async (rows: readonly ReturnType<typeof rowOf>[]) => {
  const port = await freePort()
  const tableWith = (servers: readonly ReturnType<typeof rowOf>[]): BalancerTable => ({
    format: 1,
    entry: { port: 1, addresses: [] },
    fleets: [{ fleet: 'f-one', address: '127.0.0.1', port, servers: [...servers] }],
    names: {}
  })
  const balance = balancer({ clock: systemClock, table: tableWith(rows) })
  const over = new AbortController()
  const running = balance.run(over.signal)
  ending.push(async () => {
    over.abort()
    await running
  })
  await eventually(() => balance.state().fleets['f-one']?.listening)
  return {
    port,
    state: balance.state,
    aborted: balance.aborted,
    swap: (servers: readonly ReturnType<typeof rowOf>[]) => balance.swap(tableWith(servers)),
    ask: (path = '/') => ask({ host: '127.0.0.1', port, path }),
    healthOf: (server: TestServer) => balance.state().servers[server.server]?.health,
    connectionsOf: (server: TestServer) => balance.state().servers[server.server]?.connections
  }
}

const connectTo = async (port: number) => {
  const socket = await open('127.0.0.1', port)
  ending.push(() => socket.destroy())
  return socket
}

describe('the balancer', () => {
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end()
  })

  it('gives equally busy servers connections in turn', async () => {
    const [one, two] = [await startServer('s-1'), await startServer('s-2')]
    const balance = await start([rowOf(one), rowOf(two)])

    for (let count = 0; count < 10; count++) await balance.ask()

    assert.deepEqual([one.state.requests, two.state.requests], [5, 5])
  })

  it('gives the less busy server the next connection', async () => {
    const [one, two] = [await startServer('s-1'), await startServer('s-2')]
    const balance = await start([rowOf(one), rowOf(two)])
    const held = balance.ask('/held')
    await eventually(() => one.state.held.length + two.state.held.length === 1)
    const [busy, idle] = one.state.held.length === 1 ? [one, two] : [two, one]

    for (let count = 0; count < 4; count++) {
      await balance.ask()
      await eventually(() => balance.connectionsOf(idle) === 0)
    }

    assert.equal(idle.state.requests, 4)
    busy.state.held[0]?.()
    assert.equal((await held).body, 'begun ended')
  })

  it('tries the next server when one does not take the connection, and the client does not notice', async () => {
    const [one, two] = [await startServer('s-1'), await startServer('s-2')]
    const balance = await start([rowOf(one), rowOf(two)])

    one.die()

    for (let count = 0; count < 4; count++) assert.equal((await balance.ask()).body, 's-2')
  })

  it('holds a connection, and the bytes on it, while no server takes it for a moment', async () => {
    const one = await startServer('s-1')
    const balance = await start([rowOf(one)])
    one.die()

    const answer = balance.ask()
    await eventually(() => balance.healthOf(one) === 'unhealthy')
    await startServer('s-again', one.port)

    assert.equal((await answer).body, 's-again')
  })

  it('sends nothing to a server that has never been healthy, and everything to it from its first good answer on', async () => {
    const [well, young] = [await startServer('s-1'), await startServer('s-2', 0, { sick: true })]
    const balance = await start([rowOf(well), rowOf(young)])

    for (let count = 0; count < 4; count++) await balance.ask()
    assert.equal(young.state.requests, 0)
    young.state.sick = false

    await eventually(() => balance.healthOf(young) === 'healthy')
    for (let count = 0; count < 4; count++) await balance.ask()
    assert.equal(young.state.requests, 2)
  })

  it('stops using a server that says it is not ready, without touching the connections it has', async () => {
    const [one, two] = [await startServer('s-1'), await startServer('s-2')]
    const balance = await start([rowOf(one), rowOf(two)])
    const held = [balance.ask('/held'), balance.ask('/held')]
    await eventually(() => one.state.held.length === 1 && two.state.held.length === 1)

    one.state.sick = true
    await eventually(() => balance.healthOf(one) === 'unhealthy')

    assert.equal((await balance.ask()).body, 's-2')
    for (const { state } of [one, two]) state.held[0]?.()
    assert.deepEqual(
      (await Promise.all(held)).map(({ body }) => body),
      ['begun ended', 'begun ended']
    )
  })

  it('uses servers that were well before when none is well, and never one that has not been', async () => {
    const [before, never] = [await startServer('s-1', 0, { sick: true }), await startServer('s-2', 0, { sick: true })]
    const balance = await start([rowOf(before, { proven: true }), rowOf(never)])

    for (let count = 0; count < 4; count++) assert.equal((await balance.ask()).body, 's-1')
  })

  it('passes a half-close on in both directions', async () => {
    const one = await startServer('s-1')
    const balance = await start([rowOf(one)])
    const socket = await connectTo(balance.port)

    socket.end('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    const { text, how } = await readAll(socket)

    assert.match(text, /^HTTP\/1.1 200 OK[\s\S]*s-1$/)
    assert.equal(how, 'ended')
    await eventually(() => balance.connectionsOf(one) === 0)
  })

  it('lets go of the server when the client goes away in the middle', async () => {
    const one = await startServer('s-1')
    const balance = await start([rowOf(one)])
    const socket = await connectTo(balance.port)
    socket.write('GET /held HTTP/1.1\r\nhost: x\r\n\r\n')
    await eventually(() => one.state.held.length === 1)

    socket.resetAndDestroy()

    await eventually(() => balance.connectionsOf(one) === 0)
    assert.deepEqual(balance.aborted(), [])
  })

  it('keeps the connections of a removed server until they end, and gives it no new one', async () => {
    const [one, two] = [await startServer('s-1'), await startServer('s-2')]
    const balance = await start([rowOf(one)])
    const agent = keptAlive()
    ending.push(() => agent.destroy())
    const kept = () => ask({ host: '127.0.0.1', port: balance.port, agent })
    assert.equal((await kept()).body, 's-1')

    await balance.swap([rowOf(two)])

    assert.equal((await kept()).body, 's-1')
    await eventually(() => balance.healthOf(two) === 'healthy')
    assert.equal((await balance.ask()).body, 's-2')
    assert.equal(balance.connectionsOf(one), 1)
    agent.destroy()
    await eventually(() => balance.connectionsOf(one) === undefined)
  })

  it('gives a server that leaves no new connection, also when no other is well', async () => {
    const [leaving, sick] = [await startServer('s-1'), await startServer('s-2', 0, { sick: true })]
    const balance = await start([rowOf(leaving), rowOf(sick, { proven: true })])

    await balance.swap([rowOf(leaving, { routed: false }), rowOf(sick, { proven: true })])

    for (let count = 0; count < 4; count++) assert.equal((await balance.ask()).body, 's-2')
  })

  it('names each connection that a dying server took along by its client’s port, and no other', async () => {
    const one = await startServer('s-1')
    const balance = await start([rowOf(one)])
    const other = await connectTo(balance.port)
    other.end()
    await readAll(other)
    const socket = await connectTo(balance.port)
    socket.write('GET /held HTTP/1.1\r\nhost: x\r\n\r\n')
    const answer = readAll(socket)
    await eventually(() => one.state.held.length === 1)
    const before = Date.now()

    one.die()

    const { text } = await answer
    const [aborted, ...others] = await eventually(() => (balance.aborted().length > 0 ? balance.aborted() : undefined))
    assert.deepEqual(others, [])
    assert.equal(aborted?.clientPort, socket.localPort)
    assert.equal(aborted?.server, 's-1')
    assert.equal(aborted?.fleet, 'f-one')
    assert.equal(aborted?.bytesFromServer, Buffer.byteLength(text))
    assert.ok((aborted?.at ?? 0) >= before)
  })

  it('does not take a server that ends a connection for a dead one', async () => {
    const one = await startServer('s-1')
    one.listener.keepAliveTimeout = 1
    const balance = await start([rowOf(one)])

    for (let count = 0; count < 5; count++) {
      const socket = await connectTo(balance.port)
      socket.write('GET / HTTP/1.0\r\n\r\n')
      await readAll(socket)
      socket.destroy()
    }
    await eventually(() => balance.connectionsOf(one) === 0)
    one.state.sick = true
    await eventually(() => balance.healthOf(one) === 'unhealthy')

    assert.deepEqual(balance.aborted(), [])
  })

  it('carries much data both ways unchanged, however slowly it is read', async () => {
    const echo = createServer((incoming, outgoing) => {
      outgoing.setHeader('content-length', incoming.headers['content-length'] ?? 0)
      incoming.pipe(outgoing)
    })
    await new Promise<void>((resolve) => echo.listen({ host: '127.0.0.1', port: 0 }, resolve))
    ending.push(() => echo.close())
    const address = echo.address()
    const server = { server: 's-1', port: typeof address === 'object' && address ? address.port : 0 }
    const balance = await start([rowOf(server, { proven: true })])
    const socket = await connectTo(balance.port)
    const body = Buffer.alloc(8 * 1024 * 1024, 'berth')

    socket.write(`POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`)
    socket.write(body)
    const { text } = await readAll(socket)

    assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4) === body.toString(), true)
  })
})
