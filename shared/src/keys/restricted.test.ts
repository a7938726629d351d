import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Keys, KeysError } from './keys.ts'
import { createLocalKey, localKeys } from './local.ts'
import { restrictedKeys } from './restricted.ts'

const context = { purpose: 'test' }
const message = Buffer.from('message')
const refused = (error: unknown) => error instanceof KeysError && error.code === 'refused'

describe('a restricted handle on the keys', () => {
  let folder = ''
  let keys: Keys
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-keys-'))
    for (const name of ['uploads', 'fleet-a']) await createLocalKey({ folder, name, purpose: 'wrap' })
    await createLocalKey({ folder, name: 'sign-writer', purpose: 'sign' })
    keys = await localKeys({ folder })
  })
  after(() => rm(folder, { recursive: true }))

  it('does what is listed, for exact names and for beginnings', async () => {
    const handle = restrictedKeys(keys, { wrap: ['uploads', 'fleet-*'], unwrap: ['fleet-*'], sign: ['sign-writer'] })

    const { plaintext, wrapped } = await handle.dataKey('fleet-a', context)
    await handle.dataKey('uploads', context)

    assert.deepEqual(await handle.unwrap('fleet-a', wrapped, context), plaintext)
    assert.ok(await handle.verify('sign-writer', message, await handle.sign('sign-writer', message)))
  })

  it('refuses everything else, before the keys are asked', async () => {
    const handle = restrictedKeys(keys, { wrap: ['upload', 'fleet-a-*'] })
    const { wrapped } = await keys.dataKey('uploads', context)

    await assert.rejects(handle.dataKey('uploads', context), refused)
    await assert.rejects(handle.keyPair('fleet-a', context), refused)
    await assert.rejects(handle.unwrap('uploads', wrapped, context), refused)
    await assert.rejects(handle.sign('sign-writer', message), refused)
  })

  it('verifies and gives public keys to everybody', async () => {
    const handle = restrictedKeys(keys, {})
    const signature = await keys.sign('sign-writer', message)

    assert.equal(await handle.verify('sign-writer', message, signature), true)
    assert.equal(await handle.publicKey('sign-writer'), await keys.publicKey('sign-writer'))
  })
})
