import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { releaseNamed, routeTo } from '../testing/web-workers.ts'
import { arrangeRoutes, findRoute } from './table.ts'
import { isReserved, readTarget, routingPath } from './target.ts'

const segment = fc.constantFrom('a', 'api', '..', '.', '', '%2e%2e', '%2E', '%2f', '\\', '.berth', '%61', 'x%2fy')
const path = fc.array(segment, { maxLength: 8 }).map((segments) => `/${segments.join('/')}`)

describe('where a request wants to go', () => {
  it('has a routing path without anything that could still be read in another way', () => {
    fc.assert(
      fc.property(path, (url) => {
        const routed = routingPath(url)
        assert.match(routed, /^\//)
        for (const one of routed.slice(1).split('/')) assert.ok(one !== '.' && one !== '..' && !one.includes('\\'), routed)
        assert.ok(!/%[0-9a-f]{2}/i.test(routed))
        assert.ok(!routed.includes('//'))
      })
    )
  })

  it('is reserved however the path is written, once an application would read it so', () => {
    fc.assert(
      fc.property(path, (url) => {
        const read = new URL(decodeURIComponent(url).replaceAll('\\', '/').replace(/\/+/g, '/'), 'http://x').pathname
        if (/^\/\.berth(\/|$)/.test(read)) assert.ok(isReserved(routingPath(url)), url)
      })
    )
  })

  it('is read from one Host header only, and in lower case', () => {
    assert.equal(readTarget('/x?y', ['HOST', 'A.Test.:81'])?.hostName, 'a.test')
    assert.equal(readTarget('http://b.test/x', ['Host', 'a.test'])?.hostName, 'b.test')
    assert.equal(readTarget('http://b.test?x', ['Host', 'a.test'])?.url, '/?x')
    for (const headers of [[], ['host', ''], ['host', 'a', 'Host', 'a'], ['host', 'a/b'], ['host', 'u@a'], ['host', 'a..b']])
      assert.equal(readTarget('/', headers), undefined, headers.join())
    assert.equal(readTarget('*', ['host', 'a']), undefined)
  })
})

describe('routes', () => {
  it('are found by the longest path that is a whole prefix, as a look at every route would find them', () => {
    const routePath = fc.constantFrom('/', '/a', '/a/b', '/api', '/ab')
    fc.assert(
      fc.property(
        fc.uniqueArray(routePath),
        fc.constantFrom('/', '/a', '/ab/c', '/a/b', '/a/bc', '/api/a', '/x'),
        (paths, asked) => {
          const routes = arrangeRoutes(
            paths.map((one) => routeTo([], { path: one, release: releaseNamed('a') })),
            (route) => route.path
          )
          const fitting = paths.filter((one) => one === '/' || asked === one || asked.startsWith(`${one}/`))
          const longest = fitting.toSorted((a, b) => b.length - a.length)[0]

          assert.equal(findRoute(routes, 'a.test', asked), longest)
          assert.equal(findRoute(routes, 'b.test', asked), undefined)
        }
      )
    )
  })
})
