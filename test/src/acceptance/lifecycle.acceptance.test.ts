import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, describe, it } from 'node:test'
import { parser } from '@berth/shared/parse'
import { Type } from 'typebox'
import { isConnection, openConnection } from '../prober/connection.ts'
import { cliOk } from '../system/client.ts'
import { allReady } from '../system/servers.ts'
import { createSystem, type System } from '../system/system.ts'

const parseItems = parser(Type.Object({ items: Type.Array(Type.Unknown()) }), 'a list')

describe('npm start', () => {
  const systems: System[] = []
  after(async () => {
    for (const system of systems) await system.destroy()
  })
  const newSystem = async (settings: Record<string, string> = {}): Promise<System> => {
    const system = await createSystem({ BERTH_SERVERS: '1', ...settings })
    systems.push(system)
    return system
  }
  const pageOf = async (system: System, name: string): Promise<string> => {
    const site = system.ready().sites.find((candidate) => candidate.name === name)
    assert.ok(site)
    // Names below localhost are this machine's own, whether or not a resolver knows it.
    const opened = await openConnection({ address: '127.0.0.1', port: Number(new URL(site.url).port) }, 5000)
    assert.ok(isConnection(opened))
    const exchange = await opened.exchange({ method: 'GET', host: site.host, path: '/' }, 10_000)
    opened.close()
    assert.ok(exchange.outcome === 'answered' && exchange.answer.status === 200)
    return exchange.answer.body.toString('utf8')
  }

  it('serves both samples, signs the command line in, stops on Ctrl-C without a process left, and carries on with the same data', async () => {
    const system = await newSystem()

    const first = await system.start()
    assert.match(await pageOf(system, 'hello-node'), /Hello from version/)
    assert.match(await pageOf(system, 'hello-static'), /Hello, harbour/)
    await cliOk(system, 'whoami')
    const code = await system.interrupt()
    const left = await system.leftovers()
    const second = await system.start()

    assert.equal(code, 0)
    assert.deepEqual(left, [])
    assert.deepEqual(second.sites, first.sites)
    await allReady(system, 1)
    assert.match(await pageOf(system, 'hello-node'), /Hello from version/)
    const versions = parseItems((await cliOk(system, 'versions', 'hello-node', '--json')).json())
    assert.equal(versions.items.length, 1, 'nothing was published twice')
  })

  it('runs beside another one without either knowing', async () => {
    const [first] = systems
    assert.ok(first)
    const second = await newSystem()

    await second.start()

    for (const system of [first, second]) assert.match(await pageOf(system, 'hello-node'), /Hello from version/)
    assert.equal(await second.interrupt(), 0)
    assert.match(await pageOf(first, 'hello-node'), /Hello from version/)
  })

  it('refuses to start a second time in the same folder', async () => {
    const [first] = systems
    assert.ok(first)
    const twin = await newSystem({ BERTH_HOME: first.home })

    await assert.rejects(twin.start(), /already runs/)

    assert.match(await pageOf(first, 'hello-node'), /Hello from version/)
  })

  for (const setting of ['BERTH_API_PORT', 'BERTH_HTTP_PORT'] as const)
    it(`says which port is taken, and that ${setting} chooses another`, async () => {
      const taken = createServer().listen(0, '127.0.0.1')
      await once(taken, 'listening')
      const address = taken.address()
      assert.ok(address && typeof address === 'object')
      const system = await newSystem({ [setting]: String(address.port) })

      try {
        await assert.rejects(system.start(), new RegExp(`${address.port}.*${setting}`, 's'))
        assert.deepEqual(await system.leftovers(), [])
      } finally {
        taken.close()
      }
    })
})
