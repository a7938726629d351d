import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FrontRoute, FrontTable } from './host/host.ts'
import { router } from './router.ts'

const routeOf = (deployment: string, change: Partial<FrontRoute> = {}): FrontRoute => ({
  hostNames: [`${deployment}.localhost`],
  path: '/',
  deployment,
  release: 'a',
  upstreams: [{ host: '127.0.0.1', port: 1 }],
  queueLength: 10,
  ...change
})

/** A front that answers when the test says so. */
const heldFront = () => {
  const tables: FrontTable[] = []
  const answers: { resolve: () => void; reject: (error: Error) => void }[] = []
  return {
    tables,
    answers,
    route: (table: FrontTable) => {
      tables.push(table)
      return new Promise<void>((resolve, reject) => answers.push({ resolve, reject }))
    }
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('the router', () => {
  it('lets changes that come while a table is on its way travel together in the next', async () => {
    const front = heldFront()
    const table = router(front)
    const first = table.set('one', routeOf('one'))
    await turn()
    const others = [table.set('two', routeOf('two')), table.set('three', routeOf('three'))]
    front.answers[0]?.resolve()
    await first
    await turn()
    front.answers[1]?.resolve()
    await Promise.all(others)

    assert.deepEqual(
      front.tables.map(({ generation, routes }) => [generation, routes.length]),
      [
        [1, 1],
        [2, 3]
      ]
    )
  })

  it('takes the front’s word after a table that may not have come', async () => {
    const front = heldFront()
    const table = router(front)
    table.adopt({ generation: 7, ready: true, routes: [routeOf('one')] })
    assert.equal(table.isReady(), true)
    const failing = table.set('one', routeOf('one', { release: 'b' }))
    await turn()
    front.answers[0]?.reject(new Error('no answer'))
    await assert.rejects(failing)

    table.adopt({ generation: 7, ready: true, routes: [routeOf('one')] })

    assert.equal(table.find('one')?.release, 'a')
    void table.set('one', undefined)
    await turn()
    assert.equal(front.tables.at(-1)?.generation, 9)
  })

  it('never lets a route that answers 503 stand before one that serves the same place', async () => {
    const tables: FrontTable[] = []
    const table = router({ route: async (sent) => void tables.push(sent) })
    const place = { hostNames: ['shared.localhost'] }
    await table.set('broken', routeOf('broken', { ...place, failed: true, upstreams: [] }))
    assert.deepEqual(tables.at(-1)?.routes[0]?.hostNames, ['shared.localhost'])

    await table.set('good', routeOf('good', place))

    assert.deepEqual(
      tables.at(-1)?.routes.map(({ hostNames }) => hostNames),
      [[], ['shared.localhost']]
    )
  })
})
