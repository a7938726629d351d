import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sha256Hex } from '@berth/shared/canonical'
import { parseDesiredIndex, parseDesiredSite } from '@berth/shared/desired'
import fc from 'fast-check'
import { type FleetRows, render } from './render.ts'

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const hex = (n: number) => sha256Hex(String(n))
const release = (n: number): FleetRows['releases'][number] => ({
  id: id(n),
  release: hex(n),
  incarnation: 1,
  package: hex(n + 1000),
  build: { name: 'node', version: '24.1.0', platform: 'linux-x64', digest: hex(0) }
})

const anyRows: fc.Arbitrary<FleetRows> = fc
  .record({
    sites: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 5 }),
    names: fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.stringMatching(/^[a-z]{1,3}$/)), {
      maxLength: 8,
      selector: ([, host]) => host
    }),
    paths: fc.uniqueArray(
      fc.record({
        site: fc.integer({ min: 1, max: 9 }),
        path: fc.constantFrom('/', '/a', '/B', '/a/b'),
        current: fc.option(fc.integer({ min: 20, max: 25 })),
        preparing: fc.option(fc.integer({ min: 20, max: 25 })),
        warm: fc.option(fc.integer({ min: 20, max: 25 })),
        bake: fc.boolean()
      }),
      { maxLength: 8, selector: ({ site, path }) => `${site}${path}` }
    ),
    releases: fc.uniqueArray(fc.integer({ min: 20, max: 25 }))
  })
  .map(({ sites, names, paths, releases }) => ({
    fleet: 'f-one',
    sites: sites.map((n) => ({ id: id(n), subscription: id(n + 100) })),
    hostNames: names.map(([n, host]) => ({ host: `${host}.localhost`, site: id(n) })),
    deployments: paths.map(({ site, path, current, preparing, warm, bake }, at) => ({
      id: id(200 + at),
      site: id(site),
      application: id(300),
      path,
      keepWarm: 'frozen' as const,
      current: current === null ? null : id(current),
      preparing: preparing === null ? null : id(preparing),
      warm: warm === null ? null : id(warm),
      operation: id(400 + at),
      attempt: 0,
      bake
    })),
    releases: releases.map(release)
  }))

const shuffled = <Item>(items: readonly Item[], seed: number): Item[] =>
  items
    .map((item, at) => ({ item, key: hex(seed * 1000 + at) }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ item }) => item)

describe('rendering desired state', () => {
  it('gives the same bytes for the same rows in any order', () => {
    fc.assert(
      fc.property(anyRows, fc.nat(), (rows, seed) => {
        const mixed: FleetRows = {
          fleet: rows.fleet,
          sites: shuffled(rows.sites, seed),
          hostNames: shuffled(rows.hostNames, seed),
          deployments: shuffled(rows.deployments, seed),
          releases: shuffled(rows.releases, seed)
        }
        assert.deepEqual(render(mixed), render(rows))
      })
    )
  })

  it('gives messages that agents accept, and an index that names each site by its digest', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const body = render(rows)
        const index = parseDesiredIndex(body.index.json)
        assert.equal(sha256Hex(body.index.json), body.index.digest)
        for (const { digest, json } of body.sites) {
          const site = parseDesiredSite(json)
          assert.equal(sha256Hex(json), digest)
          assert.equal(index.sites[site.site], digest)
          assert.deepEqual(site.hostNames, site.hostNames.toSorted())
        }
        assert.equal(Object.keys(index.sites).length, rows.sites.length)
        assert.equal(body.snapshot, body.sites.map(({ json }) => `${json}\n`).join(''))
      })
    )
  })

  it('shows no deployment without a packaged release, and no release that has no package for this fleet', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const known = new Set(rows.releases.map(({ release }) => release))
        for (const { json } of render(rows).sites)
          for (const { current, preparing, warm } of parseDesiredSite(json).deployments) {
            const shown = [current, preparing, warm].filter((one) => one !== null)
            assert.ok(shown.length > 0)
            assert.ok(shown.every((one) => known.has(one.release)))
          }
      })
    )
  })
})
