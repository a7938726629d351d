import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { eventually } from '@berth/shared/testing/eventually'
import { type Bench, createBench } from '../testing/front-bench.ts'
import { deployments, freePort, host, releaseNamed, routeTo, sendRaw, type WebWorker } from '../testing/web-workers.ts'

let bench: Bench
beforeEach(() => {
  bench = createBench()
})
afterEach(() => bench.close())

describe('the front', () => {
  it('routes by host name, whatever its case and port, and by the longest path on a border of segments', async () => {
    const [root, api, other] = await Promise.all([bench.saying('root'), bench.saying('api'), bench.saying('other')])
    const { ask } = await bench.serve([
      routeTo([root]),
      routeTo([api], { path: '/api', deployment: deployments.two, release: releaseNamed('b') }),
      routeTo([other], { hostNames: ['b.test'], release: releaseNamed('c') })
    ])
    const text = async (path: string, hostName?: string) =>
      (await ask(path, hostName === undefined ? {} : { hostName })).body.text()

    assert.equal(await text('/'), 'root')
    assert.equal(await text('/api'), 'api')
    assert.equal(await text('/api/x?y'), 'api')
    assert.equal(await text('/apix'), 'root')
    assert.equal(await text('/%61pi/x'), 'api')
    assert.equal(await text('/x/../api'), 'api')
    assert.equal(await text('/', 'A.Test:8080'), 'root')
    assert.equal(await text('/', 'b.test'), 'other')
    assert.equal((await ask('/', { hostName: 'c.test' })).statusCode, 404)
  })

  it('hands the worker the whole path, and tells it where the deployment lies and who asked', async () => {
    const echo = await bench.worker((incoming, response) =>
      response.end(JSON.stringify({ url: incoming.url, headers: incoming.headers }))
    )
    const { ask } = await bench.serve([routeTo([echo], { path: '/api' })])

    const answer = await ask('/api/%7Ex?q=1', {
      headers: {
        'x-forwarded-for': '6.6.6.6',
        'x-forwarded-prefix': '/evil',
        'x-forwarded-host': 'evil.test',
        forwarded: 'for=6.6.6.6',
        'x-real-ip': '6.6.6.6',
        'x-kept': 'yes'
      }
    })
    const { url, headers } = (await answer.body.json()) as { url: string; headers: Record<string, string> }

    assert.equal(answer.headers.via, '1.1 s-test')
    assert.equal(url, '/api/%7Ex?q=1')
    assert.equal(headers['x-kept'], 'yes')
    assert.equal(headers.host, 'a.test')
    assert.equal(headers['x-forwarded-for'], host)
    assert.equal(headers['x-forwarded-host'], 'a.test')
    assert.equal(headers['x-forwarded-proto'], 'http')
    assert.equal(headers['x-forwarded-prefix'], '/api')
    assert.equal(headers.forwarded, undefined)
    assert.equal(headers['x-real-ip'], undefined)
  })

  it('answers 503 for a failed pool and leaves the others alone', async () => {
    const good = await bench.saying('good')
    const { ask } = await bench.serve([
      routeTo([good]),
      routeTo([good], { path: '/failed', failed: true, release: releaseNamed('b') }),
      routeTo([], { path: '/empty', release: releaseNamed('c') })
    ])

    assert.equal((await ask('/')).statusCode, 200)
    for (const path of ['/failed', '/empty']) {
      const answer = await ask(path)
      assert.equal(answer.statusCode, 503)
      assert.match(await answer.body.text(), /not available right now/)
    }
  })

  it('keeps every reserved path to itself, however it is written', async () => {
    const good = await bench.saying('leaked')
    const { front, port, ask } = await bench.serve([routeTo([good])])

    assert.equal((await ask('/.berth/ready')).statusCode, 503)
    front.setReady(true)
    assert.equal((await ask('/.berth/ready', { hostName: 'nobody.test' })).statusCode, 200)
    for (const path of [
      '/.berth',
      '/.berth/x',
      '/%2eberth/x',
      '/x/../.berth/x',
      '//.berth/x',
      '/.BERTH/x',
      '/.berth%2fx',
      '/\\.berth/x'
    ]) {
      const answer = await sendRaw(port, `GET ${path} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n`)
      assert.match(answer, /^HTTP\/1\.1 404 /, path)
    }
  })

  it('swaps tables under load without a failed request, and then holds no connection to the old pool', async () => {
    const [first, second] = await Promise.all([bench.saying('first'), bench.saying('second')])
    const to = (which: WebWorker) => [routeTo([which], { release: releaseNamed(which === first ? 'a' : 'b') })]
    const { front, ask } = await bench.serve(to(first))
    const seen = new Map<string, number>()
    let isOver = false
    const load = async (method: 'GET' | 'POST') => {
      while (!isOver) {
        const answer = await ask('/', { method, ...(method === 'POST' ? { body: 'x'.repeat(1000) } : {}) })
        assert.equal(answer.statusCode, 200)
        const text = await answer.body.text()
        seen.set(text, (seen.get(text) ?? 0) + 1)
      }
    }

    const loads = Array.from({ length: 16 }, (_, index) => load(index % 2 === 0 ? 'GET' : 'POST'))
    for (let turn = 0; turn < 30; turn++) {
      const before = front.stats().requests
      bench.swap(front, to(turn % 2 === 0 ? second : first))
      await eventually(() => front.stats().requests > before + 20)
    }
    isOver = true
    await Promise.all(loads)

    assert.equal(seen.size, 2)
    await eventually(() => front.stats().pools.length === 1)
    assert.deepEqual(front.stats().pools, [
      { deployment: deployments.one, release: releaseNamed('a'), routed: true, inFlight: 0 }
    ])
    await eventually(async () => (await second.connections()) === 0)
  })

  it('lets an upload that began before a swap end on the pool where it began', async () => {
    const counting = (name: string) =>
      bench.worker(async (incoming, response) => {
        let bytes = 0
        for await (const chunk of incoming) bytes += chunk.length
        response.end(`${name} ${bytes}`)
      })
    const [first, second] = await Promise.all([counting('first'), counting('second')])
    const { front, ask } = await bench.serve([routeTo([first])])
    const step = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
    async function* slowly() {
      yield Buffer.alloc(1000)
      step[0].resolve()
      await step[1].promise
      yield Buffer.alloc(500)
    }

    const upload = ask('/', { method: 'POST', body: slowly() })
    await step[0].promise
    await eventually(() => front.stats().pools[0]?.inFlight === 1)
    bench.swap(front, [routeTo([second], { release: releaseNamed('b') })])
    assert.equal(await (await ask('/', { method: 'POST', body: 'x' })).body.text(), 'second 1')
    assert.deepEqual(
      front.stats().pools.map(({ release, routed, inFlight }) => ({ release, routed, inFlight })),
      [
        { release: releaseNamed('b'), routed: true, inFlight: 0 },
        { release: releaseNamed('a'), routed: false, inFlight: 1 }
      ]
    )
    step[1].resolve()

    assert.equal(await (await upload).body.text(), 'first 1500')
    await eventually(() => front.stats().pools.length === 1)
  })

  it('holds requests of every method while their worker is started again', async () => {
    const answer = (incoming: IncomingMessage, response: ServerResponse) => response.end(incoming.method)
    const before = await bench.worker(answer)
    const { front, ask } = await bench.serve([routeTo([before])])
    assert.equal((await ask('/')).statusCode, 200)

    await before.kill()
    const held = (['GET', 'POST', 'PUT', 'DELETE'] as const).map((method) =>
      ask('/', { method, ...(method === 'POST' || method === 'PUT' ? { body: 'x'.repeat(100_000) } : {}) })
    )
    await eventually(() => front.stats().requests === 5)
    await bench.worker(answer, before.port)

    const texts = await Promise.all(held.map(async (one) => (await one).body.text()))
    assert.deepEqual(texts, ['GET', 'POST', 'PUT', 'DELETE'])
  })

  it('takes held requests along when the table swaps', async () => {
    const [port, good] = await Promise.all([freePort(), bench.saying('good')])
    const { front, ask } = await bench.serve([routeTo([{ port }])])

    const held = ask('/', { method: 'POST', body: 'x' })
    await eventually(() => front.stats().requests === 1)
    bench.swap(front, [routeTo([good], { release: releaseNamed('b') })])

    assert.equal(await (await held).body.text(), 'good')
  })

  it('holds no more requests than the pool may queue', async () => {
    const port = await freePort()
    const { front, ask } = await bench.serve([routeTo([{ port }], { queueLength: 10 })])

    const asked = Array.from({ length: 15 }, () => ask('/'))
    // Ten wait; the others are answered though no worker is there.
    const early = await Promise.race(asked)
    assert.equal(early.statusCode, 503)
    await eventually(() => front.stats().requests === 15)
    await bench.worker((_, response) => response.end('good'), port)

    const statuses = (await Promise.all(asked)).map(({ statusCode }) => statusCode)
    assert.equal(statuses.filter((status) => status === 200).length, 10)
    assert.equal(statuses.filter((status) => status === 503).length, 5)
  })

  it('asks once more, elsewhere, when a worker dies before the first byte of its answer to a GET', async () => {
    let broken = 0
    const dying = await bench.worker((incoming) => {
      broken++
      incoming.socket.destroy()
    })
    const good = await bench.saying('good')
    const { ask } = await bench.serve([routeTo([dying, good])])

    const answers = await Promise.all(Array.from({ length: 20 }, () => ask('/')))

    assert.ok(broken > 0)
    for (const answer of answers) assert.equal(await answer.body.text(), 'good')
  })

  it('does not repeat what may have been done: a POST that was sent and not answered is 502', async () => {
    let posts = 0
    const dying = await bench.worker((incoming) => {
      posts++
      incoming.resume()
      incoming.on('end', () => incoming.socket.destroy())
    })
    const { ask } = await bench.serve([routeTo([dying])])

    const answer = await ask('/', { method: 'POST', body: 'pay' })

    assert.equal(answer.statusCode, 502)
    assert.equal(posts, 1)
  })

  it('answers with the worker that lives while another one of the pool is down', async () => {
    const [port, good] = await Promise.all([freePort(), bench.saying('good')])
    const { ask } = await bench.serve([routeTo([{ port }, good])])

    const answers = await Promise.all(Array.from({ length: 10 }, () => ask('/', { method: 'POST', body: 'x' })))

    for (const answer of answers) assert.equal(await answer.body.text(), 'good')
  })

  it('cuts what is under way on a release that is not routed, and nothing else', async () => {
    const hanging = await bench.worker(() => undefined)
    const good = await bench.saying('good')
    const { front, ask } = await bench.serve([routeTo([hanging])])

    const lost = ask('/').catch((error: Error) => error)
    await eventually(() => front.stats().pools[0]?.inFlight === 1)
    assert.equal(front.cut(deployments.one, releaseNamed('a')), false)
    bench.swap(front, [routeTo([good], { release: releaseNamed('b') })])
    assert.equal(front.cut(deployments.one, releaseNamed('a')), true)

    assert.ok((await lost) instanceof Error)
    await eventually(() => front.stats().pools.length === 1)
    assert.equal((await ask('/')).statusCode, 200)
  })

  it('ends a request at the worker when its client goes away', async () => {
    const gone = Promise.withResolvers<void>()
    const hanging = await bench.worker((_, response) => {
      response.on('close', () => gone.resolve())
    })
    const { front, ask } = await bench.serve([routeTo([hanging])])
    const leaving = new AbortController()

    const lost = ask('/', { signal: leaving.signal }).catch(() => 'left')
    await eventually(() => front.stats().pools[0]?.inFlight === 1)
    leaving.abort()

    assert.equal(await lost, 'left')
    await gone.promise
    await eventually(() => front.stats().pools[0]?.inFlight === 0)
  })

  it('tells its clients to go when it drains, and still answers what they ask meanwhile', async () => {
    const good = await bench.saying('good')
    const { front, ask, closeClient } = await bench.serve([routeTo([good])])
    front.setReady(true)
    assert.equal((await ask('/')).headers.connection, 'keep-alive')

    const drained = front.drain(10_000)
    const answer = await ask('/')
    await answer.body.text()

    assert.equal(answer.statusCode, 200)
    assert.equal(answer.headers.connection, 'close')
    assert.equal(await (await ask('/.berth/ready')).body.text(), 'not ready\n')
    await closeClient()
    await drained
  })
})
