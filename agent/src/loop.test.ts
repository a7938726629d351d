import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import fc from 'fast-check'
import { limiter, mapBounded } from './bounded.ts'
import { withDeadline } from './deadline.ts'
import { phaseOf, untilPhase } from './loop.ts'

describe('the agents of a fleet', () => {
  it('poll in the same phase of the period, each once a period', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 50, max: 60_000 }), fc.nat(1e9), fc.nat(1e9), (fleet, pollMs, one, other) => {
        const phase = phaseOf(fleet, pollMs)
        for (const now of [one, other]) {
          const wait = untilPhase(now, pollMs, phase)
          assert.ok(wait > 0 && wait <= pollMs)
          assert.equal((now + wait) % pollMs, phase)
        }
      })
    )
  })
})

describe('a deadline', () => {
  const never = new AbortController().signal
  const limits = { clock: systemClock, signal: never, what: 'a step' }

  it('ends the wait for work that hangs, and tells the work', async () => {
    let told: AbortSignal | undefined
    const hanging = withDeadline({ ...limits, ms: 5 }, (signal) => {
      told = signal
      return new Promise(() => undefined)
    })

    await assert.rejects(hanging, { code: 'deadline' })
    assert.equal(told?.aborted, true)
  })

  it('leaves work alone that is done in time', async () => {
    assert.equal(await withDeadline({ ...limits, ms: 60_000 }, async () => 'done'), 'done')
  })

  it('waits for work that may not go on behind its caller’s back', async () => {
    const abort = new AbortController()
    let finish: (value: string) => void = () => undefined
    const work = withDeadline({ ...limits, ms: 60_000, signal: abort.signal, isAbandonable: false }, () => {
      return new Promise<string>((resolve) => {
        finish = resolve
      })
    })
    abort.abort(new Error('something else is wanted'))
    finish('done all the same')

    assert.equal(await work, 'done all the same')
  })
})

describe('bounded work', () => {
  it('never has more under way than it may, and begins nothing after a failure', async () => {
    let underWay = 0
    let most = 0
    let begun = 0
    const work = mapBounded(Array.from({ length: 20 }), 3, async (_, n) => {
      begun++
      most = Math.max(most, ++underWay)
      await new Promise((resolve) => setImmediate(resolve))
      underWay--
      if (n === 4) throw new Error('the fifth fails')
    })

    await assert.rejects(work, /the fifth fails/)
    assert.equal(most, 3)
    assert.ok(begun < 10 && underWay === 0)
  })

  it('lets those who stop waiting leave the queue', async () => {
    const turns = limiter(1)
    let free: () => void = () => undefined
    const holder = turns.run(() => new Promise<void>((resolve) => (free = resolve)))
    const abort = new AbortController()
    const leaver = turns.run(async () => 'never', abort.signal)
    const next = turns.run(async () => 'my turn')
    abort.abort(new Error('not any more'))

    await assert.rejects(leaver, /not any more/)
    free()
    await holder
    assert.equal(await next, 'my turn')
  })
})
