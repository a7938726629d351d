import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Health, newHealth, nextHealth } from './health.ts'

const after = (answers: readonly boolean[]): Health['state'] => answers.reduce(nextHealth, newHealth).state

describe('health', () => {
  it('is good with the first good answer of a new server', () => {
    assert.equal(after([false, false, false]), 'starting')
    assert.equal(after([false, true]), 'healthy')
  })

  it('takes two bad answers in a row to be lost, and two good ones to come back', () => {
    assert.equal(after([true, false]), 'healthy')
    assert.equal(after([true, false, true, false]), 'healthy')
    assert.equal(after([true, false, false]), 'unhealthy')
    assert.equal(after([true, false, false, true]), 'unhealthy')
    assert.equal(after([true, false, false, true, true]), 'healthy')
  })

  it('is what the last two answers agree on, once a server has been healthy', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean()), fc.boolean(), (before, last) => {
        assert.equal(after([true, ...before, last, last]), last ? 'healthy' : 'unhealthy')
      })
    )
  })
})
