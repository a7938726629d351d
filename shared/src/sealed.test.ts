import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { openWithKey, openWithPrivateKey, sealToPublicKey, sealWithKey } from './sealed.ts'

const context = { purpose: 'test', subscription: 's' }
const bytes = Buffer.from('something small')
const pair = () =>
  generateKeyPairSync('rsa', {
    modulusLength: 3072,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' }
  })

describe('what is sealed', () => {
  it('opens with its key under its context', async () => {
    const key = randomBytes(32)
    assert.deepEqual(await openWithKey(key, context, await sealWithKey(key, context, bytes)), bytes)
  })

  it('opens with the private half of its pair, and with no other', async () => {
    const [ours, theirs] = [pair(), pair()]
    const sealed = await sealToPublicKey(ours.publicKey, context, bytes)
    assert.deepEqual(await openWithPrivateKey(ours.privateKey, context, sealed), bytes)
    await assert.rejects(openWithPrivateKey(theirs.privateKey, context, sealed), { code: 'bad_seal' })
  })

  it('does not open when the context lacks a pair, has one more, or another value', async () => {
    const key = randomBytes(32)
    const sealed = await sealWithKey(key, context, bytes)
    for (const wrong of [{ purpose: 'test' }, { ...context, fleet: 'f' }, { ...context, subscription: 't' }])
      await assert.rejects(openWithKey(key, wrong, sealed), { code: 'bad_seal' })
  })

  it('does not open with another key, when altered, or when cut short', async () => {
    const key = randomBytes(32)
    const sealed = await sealWithKey(key, context, bytes)
    const altered = Buffer.from(sealed)
    altered.writeUInt8(altered.readUInt8(sealed.length - 20) ^ 1, sealed.length - 20)
    await assert.rejects(openWithKey(randomBytes(32), context, sealed), { code: 'bad_seal' })
    await assert.rejects(openWithKey(key, context, altered), { code: 'bad_seal' })
    await assert.rejects(openWithKey(key, context, sealed.subarray(0, sealed.length - 1)), { code: 'bad_seal' })
  })
})
