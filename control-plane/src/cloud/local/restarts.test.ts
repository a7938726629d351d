import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { died, type ServiceLife, started } from './restarts.ts'

/** The delays before each start of a service that lives this long each time. */
const delaysOf = (livesMs: readonly number[]): number[] => {
  let nowMs = 0
  let life: ServiceLife = started(undefined, nowMs)
  return livesMs.map((livedMs) => {
    nowMs += livedMs
    life = died(life, nowMs)
    const delayMs = life.startAtMs - nowMs
    nowMs += delayMs
    life = started(life, nowMs)
    return delayMs
  })
}

describe('a service that dies', () => {
  it('is started again at once when it had run for ten seconds', () => {
    assert.deepEqual(delaysOf([10_000, 60_000]), [0, 0])
  })

  it('waits twice as long each time it dies young, and never more than half a minute', () => {
    assert.deepEqual(
      delaysOf([100, 100, 100, 100, 100, 100, 100, 100, 100]),
      [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]
    )
  })

  it('begins anew after it has run steadily', () => {
    assert.deepEqual(delaysOf([100, 100, 10_000, 100]), [500, 1000, 0, 500])
  })
})
