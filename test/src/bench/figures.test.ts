import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { percentile, tableOf, timeRow } from './figures.ts'

describe('the figures of the bench', () => {
  it('are values that were measured: the nearest rank, in any order', () => {
    const values = Array.from({ length: 50 }, (_, index) => 50 - index)

    assert.equal(percentile(values, 0.5), 25)
    assert.equal(percentile(values, 0.99), 50)
    assert.equal(percentile([7], 0.5), 7)
    assert.throws(() => percentile([], 0.5))
  })

  it('stand beside their aims, met or missed, and a missing one says why', () => {
    const table = tableOf([
      timeRow('rollback p50', 800, 1000),
      timeRow('deploy p50', 3000, 2500),
      { what: 'nginx', figure: '', missing: 'no apt here' }
    ])

    assert.match(table, /rollback p50 +0\.80 s +≤ 1\.00 s +met/)
    assert.match(table, /deploy p50 +3\.00 s +≤ 2\.50 s +MISSED/)
    assert.match(table, /nginx +not measured +no apt here/)
  })
})
