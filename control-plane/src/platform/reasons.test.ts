import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { Refusal } from '@berth/shared/refusal'
import { DrizzleQueryError } from 'drizzle-orm/errors'
import { makeLog } from '../local/log.ts'
import { detailsOf } from './reasons.ts'

const written = async (failure: unknown): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-log-'))
  try {
    const file = join(folder, 'a.log')
    makeLog(file, systemClock.now)({ service: 'test', level: 'error', message: 'it failed', ...detailsOf(failure) })
    return await readFile(file, 'utf8')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

it('writes of a bug what it is and where', async () => {
  const line = JSON.parse(await written(Object.assign(new TypeError('no such thing'), { code: 'E_THING' })))

  assert.equal(line.reason, 'no such thing')
  assert.equal(line.code, 'E_THING')
  assert.match(line.stack, /TypeError: no such thing\n +at .*reasons\.test\.ts/)
})

it('writes nothing that a query was asked with, nor what else an error carries', async () => {
  const withDetail = Object.assign(new Error('duplicate key'), { detail: 'Key (email)=(tenant@example.com)' })
  for (const failure of [
    new DrizzleQueryError('select $1', ['tenant@example.com'], withDetail),
    new DrizzleQueryError('select $1', ['tenant@example.com']),
    new Error('outer', { cause: new DrizzleQueryError('select $1', ['tenant@example.com'], withDetail) })
  ])
    assert.doesNotMatch(await written(failure), /tenant/)
})

it('writes of a refusal only what it says', async () => {
  assert.deepEqual(detailsOf(new Refusal('unavailable', 'try again')), { reason: 'try again', code: 'unavailable' })
  assert.deepEqual(Object.keys(detailsOf('text')), ['reason', 'stack'])
})
