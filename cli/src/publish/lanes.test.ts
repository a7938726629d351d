import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { lanes } from './lanes.ts'

describe('lanes', () => {
  it('never run more work at once than they were made for', async () => {
    const lane = lanes(2)
    let running = 0
    let most = 0
    const finish: (() => void)[] = []
    const work = async () => {
      running++
      most = Math.max(most, running)
      await new Promise<void>((resolve) => finish.push(resolve))
      running--
    }
    await lane.start(work)
    await lane.start(work)

    let hasThirdBegun = false
    const third = lane.start(work).then(() => {
      hasThirdBegun = true
    })
    await new Promise(setImmediate)
    assert.equal(hasThirdBegun, false)
    finish[0]?.()
    await third
    for (const end of finish) end()

    await lane.end()
    assert.equal(most, 2)
    assert.equal(running, 0)
  })

  it('abort the others at the first failure, start nothing more, and tell it once all have ended', async () => {
    const lane = lanes(2)
    let wasAborted = false
    await lane.start(
      (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            wasAborted = true
            resolve()
          })
        })
    )
    await lane.start(() => Promise.reject(new Error('first')))

    await assert.rejects(
      lane.start(async () => assert.fail()),
      /first/
    )
    await assert.rejects(lane.end(new Error('later')), /first/)
    assert.ok(wasAborted)
  })

  it('end with the caller’s own failure when there is no other', async () => {
    const lane = lanes(1)
    await lane.start((signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())))
    await assert.rejects(lane.end(new Error('mine')), /mine/)
  })
})
