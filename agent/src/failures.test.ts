import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Refusal } from '@berth/shared/refusal'
import { judgeFailure } from './failures.ts'

const judged = (error: unknown) => judgeFailure(error, { tries: 0, now: 1000, isCurrent: false })

describe('a failed step', () => {
  for (const code of ['ENOSPC', 'EDQUOT'])
    it(`that met a full disk (${code}) is reported as that, wherever it was met, and tried again`, () => {
      const { reason, isFinal, retryAt } = judged(Object.assign(new Error('write /a/secret/path'), { code }))

      assert.equal(reason.code, 'disk_full')
      assert.match(reason.message, /disk became full/)
      assert.ok(!reason.message.includes('secret'))
      assert.ok(isFinal && (retryAt ?? 0) > 1000)
    })

  it('that met a bug keeps the bug’s own words out of the report', () => {
    assert.deepEqual(judged(new Error('secret')).reason.code, 'failed')
    assert.ok(!judged(new Error('secret')).reason.message.includes('secret'))
  })

  it('is told in whole characters, with nothing that a database cannot keep', () => {
    const { message } = judged(new Refusal('bad_package', `\0${'x'.repeat(2047)}😀`)).reason

    assert.ok(message.isWellFormed() && !message.includes('\0') && message.length === 2048)
  })
})
