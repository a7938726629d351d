import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeSingleFlights } from './single-flights.ts'

/** Work that goes on until it is let go, and notes how much of it is under way. */
const slowWork = () => {
  const waiting: (() => void)[] = []
  const seen = { runs: 0, now: 0, most: 0 }
  const work = async () => {
    seen.runs += 1
    seen.now += 1
    seen.most = Math.max(seen.most, seen.now)
    await new Promise<void>((resolve) => waiting.push(resolve))
    seen.now -= 1
  }
  /** Lets everything go until nothing is left. */
  const finish = async (settled: Promise<void>) => {
    let over = false
    void settled.then(() => {
      over = true
    })
    while (!over) {
      waiting.shift()?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { seen, work, finish }
}

it('works on a key once at a time, and once more when it was started meanwhile, however often', async () => {
  const { seen, work, finish } = slowWork()
  const flights = makeSingleFlights(work)
  void flights.start('one')
  await new Promise((resolve) => setImmediate(resolve))
  for (let at = 0; at < 5; at++) void flights.start('one')

  await finish(flights.settled())

  assert.deepEqual(seen, { runs: 2, now: 0, most: 1 })
})

it('works on no more keys at once than it may, and on all of them in the end', async () => {
  const { seen, work, finish } = slowWork()
  const flights = makeSingleFlights(work, 3)
  for (let at = 0; at < 10; at++) void flights.start(`key ${at}`)

  await finish(flights.settled())

  assert.deepEqual(seen, { runs: 10, now: 0, most: 3 })
})
