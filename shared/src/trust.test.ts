import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { payloadBytesMax, preAuthEncoding, signEnvelope } from './dsse.ts'
import { memorySigner } from './testing/signers.ts'
import { isExpired, openFirstRoot, openStatement, type Root, signRoot } from './trust.ts'

const signers = {
  rootA: memorySigner(),
  rootB: memorySigner(),
  rootC: memorySigner(),
  writer: memorySigner(),
  sealer: memorySigner(),
  vendor: memorySigner()
}
const root: Root = {
  format: 1,
  number: 1,
  expires: '2030-01-01T00:00:00.000Z',
  keys: Object.fromEntries(Object.values(signers).map(({ id, pem }) => [id, pem])),
  root: { keys: [signers.rootA.id, signers.rootB.id, signers.rootC.id], threshold: 2 },
  writer: { keys: [signers.writer.id], threshold: 1 },
  sealer: { keys: [signers.sealer.id], threshold: 1 },
  vendor: { keys: [signers.vendor.id], threshold: 1 }
}

describe('a root of trust', () => {
  it('is accepted when two of its three root keys signed it', async () => {
    assert.deepEqual(openFirstRoot(await signRoot(root, [signers.rootA, signers.rootC])), root)
  })

  it('is refused when fewer signed, when one signed twice, or when others did', async () => {
    for (const by of [
      [signers.rootA],
      [signers.rootA, signers.rootA],
      [signers.rootA, signers.writer],
      [memorySigner(), memorySigner()]
    ])
      await assert.rejects(async () => openFirstRoot(await signRoot(root, by)), { code: 'unsigned' })
  })

  it('is refused when a key stands in it under another key’s name', async () => {
    const swapped = { ...root, keys: { ...root.keys, [signers.rootB.id]: memorySigner().pem } }
    await assert.rejects(async () => openFirstRoot(await signRoot(swapped, [signers.rootA, signers.rootB])), { code: 'unsigned' })
  })

  it('expires at its instant', () => {
    assert.equal(isExpired(root, new Date('2029-12-31T23:59:59.999Z')), false)
    assert.equal(isExpired(root, new Date(root.expires)), true)
  })
})

describe('a statement', () => {
  it('opens when the role that its kind belongs to signed it', async () => {
    const envelope = await signEnvelope('head', { x: 1 }, [signers.writer])
    assert.equal(Buffer.from(openStatement(root, JSON.stringify(envelope), 'head')).toString(), '{"x":1}')
  })

  it('is refused when another role signed it, or when it is of another kind', async () => {
    const bySealer = await signEnvelope('head', {}, [signers.sealer])
    const manifest = await signEnvelope('manifest', {}, [signers.sealer])
    assert.throws(() => openStatement(root, JSON.stringify(bySealer), 'head'), { code: 'unsigned' })
    assert.throws(() => openStatement(root, JSON.stringify(manifest), 'package'), { code: 'wrong_role' })
    assert.throws(() => openStatement(root, JSON.stringify({ ...manifest, payloadType: bySealer.payloadType }), 'head'), {
      code: 'unsigned'
    })
  })

  it('is refused when a byte of it was changed, or when it is no envelope', async () => {
    const envelope = await signEnvelope('head', { generation: 1 }, [signers.writer])
    const other = Buffer.from('{"generation":2}').toString('base64')
    assert.throws(() => openStatement(root, JSON.stringify({ ...envelope, payload: other }), 'head'), { code: 'unsigned' })
    assert.throws(() => openStatement(root, '{}', 'head'), { code: 'unsigned' })
    assert.throws(() => openStatement(root, 'nonsense', 'head'), { code: 'unsigned' })
  })

  it('is never larger than a key service signs in one call', async () => {
    await assert.rejects(signEnvelope('head', { x: 'y'.repeat(payloadBytesMax) }, [signers.writer]), {
      code: 'payload_too_large'
    })
  })

  it('is signed over the bytes that the DSSE protocol gives as its example', () => {
    const encoded = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'))
    assert.equal(Buffer.from(encoded).toString(), 'DSSEv1 29 http://example.com/HelloWorld 11 hello world')
  })
})
