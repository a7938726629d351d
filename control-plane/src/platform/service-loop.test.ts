import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { eventually } from '@berth/shared/testing/eventually'
import { DrizzleQueryError } from 'drizzle-orm/errors'
import { type LogEntry, runLoop } from './service-loop.ts'

const day = 24 * 60 * 60_000

const start = (pass: () => Promise<void>, { periodMs = day } = {}) => {
  const entries: LogEntry[] = []
  const stop = new AbortController()
  let hint = () => {}
  const running = runLoop(
    {
      service: 'test',
      pass,
      hints: async (onHint) => {
        hint = onHint
      },
      periodMs: () => periodMs,
      clock: systemClock,
      log: (entry) => entries.push(entry)
    },
    stop.signal
  )
  const end = (): Promise<void> => {
    stop.abort()
    return running
  }
  return { entries, hint: () => hint(), end }
}

describe('a service’s loop', () => {
  it('passes at once, again when it is hinted, and ends when it is told to', async () => {
    let passes = 0
    const loop = start(async () => {
      passes += 1
    })
    await eventually(() => passes === 1)
    loop.hint()
    await eventually(() => passes === 2)
    await loop.end()
    assert.equal(passes, 2)
  })

  it('does not miss a hint that comes while it passes', async () => {
    let passes = 0
    let release = () => {}
    const loop = start(async () => {
      passes += 1
      if (passes === 1) await new Promise<void>((resolve) => (release = resolve))
    })
    await eventually(() => passes === 1)
    loop.hint()
    release()
    await eventually(() => passes === 2)
    await loop.end()
  })

  it('passes each period when every hint is lost', async () => {
    let passes = 0
    const loop = start(
      async () => {
        passes += 1
      },
      { periodMs: 1 }
    )
    await eventually(() => passes > 3)
    await loop.end()
  })

  it('says a failure once, tries again, and says when it works again', async () => {
    let passes = 0
    const loop = start(async () => {
      passes += 1
      if (passes < 3) throw new Error('the database is away')
    })
    await eventually(() => loop.entries.length === 2)
    await loop.end()
    assert.deepEqual(
      loop.entries.map(({ level, message }) => [level, message]),
      [
        ['error', 'pass failed and will be tried again: the database is away'],
        ['info', 'pass works again']
      ]
    )
  })

  it('never says what a query was asked with', async () => {
    const loop = start(async () => {
      throw new DrizzleQueryError('select $1', ['a tenant’s value'], new Error('relation does not exist'))
    })
    await eventually(() => loop.entries.length === 1)
    await loop.end()
    assert.equal(JSON.stringify(loop.entries).includes('tenant'), false)
    assert.match(String(loop.entries[0]?.message), /relation does not exist/)
  })
})
