import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '@berth/shared/clock'
import { CliError, exitCodes } from './errors.ts'
import { waitFor } from './waiting.ts'

/** Time that passes only by waiting. */
const virtualClock = (): Clock => {
  let now = 0
  return {
    now: () => new Date(now),
    wait: async (ms) => {
      now += ms
    }
  }
}
const away = () => new CliError('unreachable', 'away', exitCodes.unreachable)
const late = () => new CliError('late', 'too late')

describe('waiting', () => {
  it('looks often at first, because a rollback is quick, and each second later', async () => {
    const clock = virtualClock()
    const looks: number[] = []
    const look = async () => {
      looks.push(clock.now().getTime())
      return looks.length === 60 ? 'found' : undefined
    }

    assert.equal(await waitFor({ clock, deadlineMs: 600_000, look, late }), 'found')

    assert.deepEqual(looks.slice(0, 3), [0, 200, 400])
    assert.equal((looks[59] ?? 0) - (looks[58] ?? 0), 1000)
  })

  it('ends with its own failure at the deadline', async () => {
    const look = async () => undefined
    await assert.rejects(waitFor({ clock: virtualClock(), deadlineMs: 5000, look, late }), { code: 'late' })
  })

  it('survives an API that is away for a while, again and again', async () => {
    const clock = virtualClock()
    const look = async () => {
      const seconds = clock.now().getTime() / 1000
      if (seconds % 60 > 2) throw away()
      return seconds > 300 ? 'found' : undefined
    }

    assert.equal(await waitFor({ clock, deadlineMs: 600_000, look, late }), 'found')
  })

  it('gives up on an API that stays away for more than a minute', async () => {
    const clock = virtualClock()
    const look = async () => {
      if (clock.now().getTime() > 10_000) throw away()
      return undefined
    }

    await assert.rejects(waitFor({ clock, deadlineMs: 600_000, look, late }), { exitCode: exitCodes.unreachable })
    assert.ok(clock.now().getTime() > 70_000 && clock.now().getTime() < 75_000)
  })

  it('passes on every other failure at once', async () => {
    let looks = 0
    const look = async () => {
      looks++
      throw new CliError('not_found', 'gone', exitCodes.notFound)
    }

    await assert.rejects(waitFor({ clock: virtualClock(), deadlineMs: 5000, look, late }), { code: 'not_found' })
    assert.equal(looks, 1)
  })
})
