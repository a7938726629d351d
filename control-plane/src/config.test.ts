import assert from 'node:assert/strict'
import { it } from 'node:test'
import { readConfig } from './config.ts'

it('has a default for everything', () => {
  const config = readConfig({ PATH: '/bin', BERTH_REGION: '' })

  assert.equal(config.domain, 'localhost')
  assert.equal(config.region, 'local')
  assert.deepEqual(config.entry, { scheme: 'http', port: 8080 })
})

it('reads what is set, and names the variable that cannot be', () => {
  assert.equal(readConfig({ BERTH_UPLOAD_HOURS: '2' }).uploads.seconds, 7200)
  for (const [name, value] of [
    ['BERTH_ENTRY_PORT', '0'],
    ['BERTH_ENTRY_PORT', '70000'],
    ['BERTH_ENTRY_PORT', 'eighty'],
    ['BERTH_ENTRY_SCHEME', 'ftp'],
    ['BERTH_DOMAIN', 'UPPER'],
    ['BERTH_SESSION_DAYS', '1000']
  ] as const)
    assert.throws(() => readConfig({ [name]: value }), { code: 'bad_setting', message: new RegExp(name) })
})
