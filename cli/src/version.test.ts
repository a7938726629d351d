import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isOlder } from './version.ts'

const ascending = [
  '0.0.9',
  '0.1.0-alpha',
  '0.1.0-alpha.2',
  '0.1.0-alpha.10',
  '0.1.0',
  '0.1.1',
  '0.2.0',
  '0.10.0',
  '1.0.0',
  '10.0.0'
]

describe('versions', () => {
  it('are ordered by number, not by text, and a pre-release comes before its release', () => {
    const place = fc.integer({ min: 0, max: ascending.length - 1 })
    fc.assert(
      fc.property(place, place, (a, b) => {
        assert.equal(isOlder(ascending[a] ?? '', ascending[b] ?? ''), a < b)
      })
    )
  })

  it('are never older than themselves, whatever they are built of', () => {
    fc.assert(fc.property(fc.string(), (version) => assert.equal(isOlder(version, version), false)))
    assert.equal(isOlder('1.0.0+build.1', '1.0.0+build.2'), false)
  })
})
