import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { callControl } from '@berth/shared/control-socket'
import { isAlive, signalProcess } from '@berth/shared/processes'
import { eventually } from '@berth/shared/testing/eventually'
import { Agent, type Dispatcher, request } from 'undici'
import type { FrontTable, Host, PoolSpec } from '../host/host.ts'
import { processHost } from '../host/process.ts'
import { router } from '../router.ts'
import { createServerBench, type ServerBench } from '../testing/server-bench.ts'
import { host as address, deployments, routeTo, startWebWorker, type WebWorker } from '../testing/web-workers.ts'
import { frontFiles, frontSocket } from './files.ts'
import { acceptsConnection } from './pools.ts'

let bench: ServerBench
let host: Host
let client: Agent
const workers: WebWorker[] = []
beforeEach(async () => {
  bench = await createServerBench()
  host = await processHost({ serverFolder: bench.folder, node: process.execPath, clock: systemClock })
  client = new Agent({ connections: 64 })
})
afterEach(async () => {
  await client.destroy()
  await Promise.all(workers.splice(0).map((worker) => worker.kill()))
  await bench.close()
})

const isUp = async () => (await host.observe()).frontUp
const isOpen = () => acceptsConnection({ host: address, port: bench.port })

const ask = (path: string, options: { method?: Dispatcher.HttpMethod; body?: string } = {}) =>
  request(`http://${address}:${bench.port}${path}`, { dispatcher: client, headers: { host: 'a.test' }, ...options })

/** Asks on a connection of its own. */
const fresh = (path: string) => request(`http://${address}:${bench.port}${path}`, { dispatcher: client, reset: true })

const saying = async (text: string): Promise<WebWorker> => {
  const worker = await startWebWorker((_, response) => response.end(text))
  workers.push(worker)
  return worker
}

let generation = 0
const tableOf = (routes: FrontTable['routes'], ready = true): FrontTable => ({ generation: ++generation, ready, routes })

/** Starts a pool of the sample and answers its route. */
const run = async (spec: PoolSpec) => {
  await host.startPool(spec)
  const asked = { path: '/', status: 200, hostName: 'a.test', count: 1, timeoutMs: 5000, deadlineMs: 20_000 }
  assert.deepEqual(await host.probe(spec.deployment, spec.release, asked, new AbortController().signal), { ok: true })
  const pool = (await host.observe()).pools.find(({ release }) => release === spec.release)
  assert.ok(pool)
  return { pool, route: routeTo(pool.workers, { release: spec.release }) }
}

describe('the front as a process', () => {
  it('opens its listener when the server is ready for the first time, and at once when it was so before', async () => {
    const good = await saying('good')
    const front = await bench.startFront()
    await eventually(isUp)

    await host.route(tableOf([routeTo([good])], false))
    assert.equal(await isOpen(), false)
    await host.route(tableOf([routeTo([good])]))
    assert.equal(await (await ask('/')).body.text(), 'good')
    await host.route(tableOf([routeTo([good])], false))
    assert.equal((await ask('/.berth/ready')).statusCode, 503)
    await bench.kill(front)
    await bench.startFront()

    await eventually(isOpen)
    assert.equal((await ask('/.berth/ready')).statusCode, 503)
    assert.equal(await (await ask('/')).body.text(), 'good')
  })

  it('serves from its disk after a kill, with nobody to tell it anything', async () => {
    const good = await saying('good')
    const front = await bench.startFront()
    await eventually(isUp)
    await host.route(tableOf([routeTo([good])]))

    await bench.kill(front)
    await eventually(async () => !(await isOpen()))
    await bench.startFront()

    await eventually(isOpen)
    assert.equal(await (await ask('/')).body.text(), 'good')
    await eventually(async () => (await ask('/.berth/ready')).statusCode === 200)
  })

  it('is not ready from its disk alone while the workers of its table are gone, until it is told', async () => {
    const good = await saying('good')
    const front = await bench.startFront()
    await eventually(isUp)
    const table = tableOf([routeTo([good])])
    await host.route(table)

    await bench.kill(front)
    await good.kill()
    await bench.startFront()
    await eventually(isOpen)
    assert.equal((await ask('/.berth/ready')).statusCode, 503)
    await host.route(table)

    assert.equal((await ask('/.berth/ready')).statusCode, 200)
  })

  it('opens when the server became ready while the front was down', async () => {
    const good = await saying('good')
    await host.route(tableOf([routeTo([good])], false))
    await host.route(tableOf([routeTo([good])]))

    await bench.startFront()

    await eventually(isOpen)
    await eventually(async () => (await ask('/.berth/ready')).statusCode === 200)
  })

  it('is told again by the agent after a restart, so that one dead worker does not keep the whole server not ready', async () => {
    const [good, dead] = await Promise.all([saying('good'), saying('dead')])
    const front = await bench.startFront()
    await eventually(isUp)
    const routing = router(host)
    const look = async () => {
      const { table, frontUntold } = await host.observe()
      routing.adopt(table, { isUntold: frontUntold ?? false })
    }
    await routing.setReady(true)
    await routing.set(deployments.one, routeTo([good]))
    await routing.set(deployments.two, routeTo([dead], { deployment: deployments.two, hostNames: ['b.test'] }))

    await bench.kill(front)
    await dead.kill()
    await bench.startFront()
    await eventually(isOpen)

    assert.equal((await ask('/.berth/ready')).statusCode, 503)
    await eventually(async () => {
      await look()
      return (await ask('/.berth/ready')).statusCode === 200
    })
  })

  it('finds the table that was routed while it was down, and refuses an older one', async () => {
    const [first, second] = await Promise.all([saying('first'), saying('second')])
    const old = tableOf([routeTo([first])])
    await host.route(old)
    const next = tableOf([routeTo([second])])
    await host.route(next)
    await assert.rejects(host.route(old), { code: 'stale_table' })

    await bench.startFront()
    await eventually(isUp)
    assert.deepEqual((await host.observe()).table, next)
    await assert.rejects(host.route(old), { code: 'stale_table' })
    await assert.rejects(host.route({ ...next, routes: [] }), { code: 'stale_table' })
    await host.route(tableOf([routeTo([second])]))
    assert.equal(await (await ask('/')).body.text(), 'second')
  })

  it('refuses a table that is none, and keeps what it has on disk and in use', async () => {
    const good = await saying('good')
    await bench.startFront()
    await eventually(isUp)
    await host.route(tableOf([routeTo([good])]))
    const before = await readFile(frontFiles(bench.folder).table, 'utf8')

    const bad = { generation: 999, ready: true, routes: [{ hostNames: ['A B'] }] }
    await assert.rejects(callControl(await frontSocket(bench.folder), 'PUT', '/table', bad), { code: 'bad_table' })

    assert.equal(await readFile(frontFiles(bench.folder).table, 'utf8'), before)
    assert.equal(await (await ask('/')).body.text(), 'good')
  })

  it('ends when it is asked to, after the answers that are under way', async () => {
    const next = Promise.withResolvers<void>()
    const slow = await startWebWorker(async (_, response) => {
      await next.promise
      response.end('slow')
    })
    workers.push(slow)
    const front = await bench.startFront()
    await eventually(isUp)
    await host.route(tableOf([routeTo([slow])]))

    const answer = ask('/')
    await eventually(async () => (await host.inFlight(deployments.one, routeTo([]).release)) === 1)
    await signalProcess(front, 'SIGTERM')
    await eventually(async () => (await (await fresh('/.berth/ready')).body.text()) === 'not ready\n')
    assert.equal(await isAlive(front), true)
    next.resolve()

    assert.equal(await (await answer).body.text(), 'slow')
    assert.equal((await answer).headers.connection, 'close')
    await eventually(async () => !(await isAlive(front)))
  })

  it('loses no request when a worker is killed with requests on it, and counts the ones that no one may repeat', async () => {
    const { pool, route } = await run(await bench.release('1'))
    await bench.startFront()
    await eventually(isUp)
    await host.route(tableOf([route]))
    let isOver = false
    let answered = 0
    const load = async () => {
      while (!isOver) {
        const answer = await ask('/identity?slow=5')
        assert.equal(answer.statusCode, 200)
        await answer.body.dump()
        answered++
      }
    }

    const loads = Array.from({ length: 12 }, load)
    let pid = pool.workers[0]?.pid ?? 0
    for (let kills = 1; kills <= 3; kills++) {
      await eventually(() => answered >= kills * 40)
      await bench.kill(await bench.identityOf(pid))
      pid = await eventually(async () => {
        const worker = (await host.observe()).pools[0]?.workers[0]
        return worker?.ready && worker.pid !== pid ? worker.pid : undefined
      })
    }
    isOver = true

    await Promise.all(loads)
  })

  it('moves all requests to a new release and back under load, with the other one drained and frozen each time', async () => {
    const [one, two] = [await bench.release('1'), await bench.release('2')]
    const [first, second] = [await run(one), await run(two)]
    await bench.startFront()
    await eventually(isUp)
    await host.route(tableOf([first.route]))
    await host.freezePool(two.deployment, two.release)
    const seen = new Map<string, number>()
    let isOver = false
    const load = async (options: Parameters<typeof ask>[1], path: string) => {
      while (!isOver) {
        const answer = await ask(path, options)
        assert.equal(answer.statusCode, 200)
        await answer.body.dump()
        const version = String(answer.headers['x-hello']).split('/')[0] ?? ''
        seen.set(version, (seen.get(version) ?? 0) + 1)
      }
    }

    const loads = [
      ...Array.from({ length: 6 }, () => load({}, '/')),
      ...Array.from({ length: 3 }, () => load({ method: 'POST', body: 'x'.repeat(10_000) }, '/upload'))
    ]
    for (let turn = 0; turn < 6; turn++) {
      const [next, last] = turn % 2 === 0 ? [two, one] : [one, two]
      await host.thawPool(next.deployment, next.release)
      await host.route(tableOf([turn % 2 === 0 ? second.route : first.route]))
      await eventually(async () => (await host.inFlight(last.deployment, last.release)) === 0)
      await host.freezePool(last.deployment, last.release)
      const before = seen.get(turn % 2 === 0 ? '2' : '1') ?? 0
      await eventually(() => (seen.get(turn % 2 === 0 ? '2' : '1') ?? 0) > before + 20)
    }
    isOver = true

    await Promise.all(loads)
  })

  it('tells its clients nothing on a connection that speaks no HTTP, and lives on', async () => {
    const good = await saying('good')
    await bench.startFront()
    await eventually(isUp)
    await host.route(tableOf([routeTo([good])]))

    const socket = connect(bench.port, address)
    socket.on('error', () => undefined)
    socket.resume()
    socket.write(Buffer.from([0x16, 0x03, 0x01, 0, 0, 1, 2, 3]))
    await new Promise((resolve) => socket.once('close', resolve))

    assert.equal(await (await ask('/')).body.text(), 'good')
  })
})
