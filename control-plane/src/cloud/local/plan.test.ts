import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Action, type ObservedServer, planFleet } from './plan.ts'
import { zones } from './settings.ts'

const observedServer = (index: number): fc.Arbitrary<ObservedServer> =>
  fc
    .record({
      zone: fc.constantFrom(...zones),
      folder: fc.constantFrom('there', 'there', 'gone'),
      health: fc.constantFrom('starting', 'healthy', 'unhealthy'),
      retiring: fc.boolean(),
      drained: fc.boolean()
    })
    .map((row) => ({ ...row, server: `s-${index}`, drained: row.retiring && row.drained }))

const fleet = fc.nat(6).chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => observedServer(index))))
const wanted = fc.nat(6)

/** What the world does with the actions, before the next look. */
const carryOut = (observed: readonly ObservedServer[], actions: readonly Action[], next: () => number): ObservedServer[] =>
  actions.reduce<ObservedServer[]>((servers, action) => apply(servers, action, next), [...observed])

const apply = (servers: ObservedServer[], action: Action, next: () => number): ObservedServer[] => {
  switch (action.kind) {
    case 'birth': {
      const row = { folder: 'there', health: 'starting', retiring: false, drained: false } as const
      return [...servers, { ...row, server: `born-${next()}`, zone: action.zone }]
    }
    case 'retire':
      return servers.map((server) => (server.server === action.server ? { ...server, retiring: true } : server))
    case 'end':
      return servers.filter(({ server }) => server !== action.server)
  }
}

/** Time passes: who starts becomes healthy, who leaves is drained. */
const settle = (observed: readonly ObservedServer[]): ObservedServer[] =>
  observed.map((server) => ({
    ...server,
    health: server.health === 'starting' ? 'healthy' : server.health,
    drained: server.retiring
  }))

const counter = () => {
  let count = 0
  return () => ++count
}

const looksMax = 40
const run = (servers: number, first: readonly ObservedServer[], each: (observed: readonly ObservedServer[]) => void) => {
  const next = counter()
  let observed: readonly ObservedServer[] = first
  for (let look = 0; look < looksMax; look++) {
    observed = settle(carryOut(observed, planFleet({ servers }, observed), next))
    each(observed)
  }
  return observed
}

describe('the plan of a fleet', () => {
  it('reaches the wanted number of sound servers from any state, and then has nothing to do', () => {
    fc.assert(
      fc.property(wanted, fleet, (servers, first) => {
        const last = run(servers, first, () => undefined)

        assert.equal(last.length, servers)
        assert.ok(last.every(({ folder, retiring }) => folder === 'there' && !retiring))
        assert.deepEqual(planFleet({ servers }, last), [])
      })
    )
  })

  it('asks for the same again while nothing has changed', () => {
    fc.assert(
      fc.property(wanted, fleet, (servers, observed) => {
        assert.deepEqual(planFleet({ servers }, observed), planFleet({ servers }, observed))
      })
    )
  })

  it('reaches the wanted state also when it is stopped after any action', () => {
    fc.assert(
      fc.property(wanted, fleet, fc.array(fc.nat(4), { maxLength: 10 }), (servers, first, stops) => {
        const next = counter()
        let observed: readonly ObservedServer[] = first
        for (const stop of stops) observed = settle(carryOut(observed, planFleet({ servers }, observed).slice(0, stop), next))

        assert.equal(run(servers, observed, () => undefined).length, servers)
      })
    )
  })

  it('never has more than one server on its way out or in for servers that lost their disk', () => {
    const whole = fc
      .integer({ min: 1, max: 6 })
      .chain((servers) =>
        fc.tuple(fc.constant(servers), fc.array(fc.constantFrom('there', 'gone'), { minLength: servers, maxLength: servers }))
      )
    fc.assert(
      fc.property(whole, ([servers, folders]) => {
        const first: ObservedServer[] = folders.map((folder, index) => ({
          server: `s-${index}`,
          zone: zones[index % 3] ?? 'local-a',
          folder,
          health: 'healthy',
          retiring: false,
          drained: false
        }))
        run(servers, first, (observed) => {
          const replaced = observed.filter(({ folder, retiring }) => retiring && folder === 'gone').length
          assert.ok(replaced <= 1, `${replaced} servers at once`)
          assert.ok(observed.filter(({ retiring }) => !retiring).length >= servers, 'fewer than wanted serve')
          assert.ok(observed.length <= servers + 1, 'more than one above the wanted number')
        })
      })
    )
  })

  it('keeps a server without a disk until its replacement has been healthy', () => {
    const row = { zone: 'local-a', folder: 'there', health: 'healthy', retiring: false, drained: false } as const
    const lost: ObservedServer = { ...row, server: 's-lost', folder: 'gone' }
    const young: ObservedServer = { ...row, server: 's-young', zone: 'local-b', health: 'starting' }

    assert.deepEqual(planFleet({ servers: 1 }, [lost]), [{ kind: 'birth', zone: 'local-b' }])
    assert.deepEqual(planFleet({ servers: 1 }, [lost, young]), [])
    assert.deepEqual(planFleet({ servers: 1 }, [lost, { ...young, health: 'healthy' }]), [{ kind: 'retire', server: 's-lost' }])
  })

  it('spreads servers evenly over the zones, growing and shrinking', () => {
    fc.assert(
      fc.property(wanted, wanted, (before, servers) => {
        const last = run(
          servers,
          run(before, [], () => undefined),
          () => undefined
        )

        const crowds = zones.map((zone) => last.filter((server) => server.zone === zone).length)
        assert.ok(Math.max(...crowds) - Math.min(...crowds) <= 1, `${crowds}`)
      })
    )
  })

  it('lets those go first that are not healthy', () => {
    const row = { folder: 'there', retiring: false, drained: false } as const
    const observed: ObservedServer[] = [
      { ...row, server: 's-1', zone: 'local-a', health: 'healthy' },
      { ...row, server: 's-2', zone: 'local-a', health: 'healthy' },
      { ...row, server: 's-3', zone: 'local-b', health: 'unhealthy' }
    ]

    assert.deepEqual(planFleet({ servers: 2 }, observed), [{ kind: 'retire', server: 's-3' }])
  })
})
