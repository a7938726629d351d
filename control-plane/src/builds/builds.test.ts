import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { it } from 'node:test'
import { keyIdOf, type Signer, signEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { type Root, signRoot } from '@berth/shared/trust'
import { testApi } from '../testing/api.ts'

const { ours, operator, objects } = await testApi()

const signer = (): Signer & { readonly pem: string } => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  return { pem, publicKey: async () => pem, sign: async (message) => sign(null, message, privateKey) }
}
const [rootKey, vendor, sealer] = [signer(), signer(), signer()]
const one = (key: { pem: string }) => ({ keys: [keyIdOf(key.pem)], threshold: 1 })
const root: Root = {
  format: 1,
  number: 1,
  expires: '2040-01-01T00:00:00Z',
  keys: Object.fromEntries([rootKey, vendor, sealer].map(({ pem }) => [keyIdOf(pem), pem])),
  root: one(rootKey),
  writer: one(sealer),
  sealer: one(sealer),
  vendor: one(vendor)
}
await objects.put(layout.root(1), Buffer.from(JSON.stringify(await signRoot(root, [rootKey]))))

const platform = 'linux-x64'
const put = async (
  name: string,
  { by = vendor, size = 4, signed = {} }: { by?: Signer; size?: number; signed?: object } = {}
) => {
  const statement = { name, version: '1.0.0', platform, size, digest: 'a'.repeat(64), requires: [], ...signed }
  const envelope = await signEnvelope('build', statement, [by])
  await objects.put(layout.buildStatement(name, '1.0.0', platform), Buffer.from(JSON.stringify(envelope)))
  await objects.put(layout.build(name, '1.0.0', platform), Buffer.from('abcd'))
}
const offer = (name: string) => operator('POST', '/v1/builds', { name, version: '1.0.0', platform })

it('is offered when the vendor signed it and its files are there; everybody signed in sees it', async () => {
  await put('node')

  const made = await offer('node')

  assert.equal(made.status, 201, made.response.body)
  assert.deepEqual((await ours.send('GET', '/v1/builds')).body, { items: [made.body] })
  assert.equal((await offer('node')).body.code, 'build_taken')
})

it('is never offered by what was not signed for it', async () => {
  await put('by-another', { by: sealer })
  await put('another-size', { size: 5 })
  await put('another-name', { signed: { name: 'node' } })

  for (const [name, code] of [
    ['missing', 'bad_build'],
    ['by-another', 'unsigned'],
    ['another-size', 'bad_build'],
    ['another-name', 'bad_build']
  ] as const) {
    const refused = await offer(name)
    assert.equal(refused.status, 422, name)
    assert.equal(refused.body.code, code)
  }
  assert.equal((await ours.send('GET', '/v1/builds')).body.items.length, 1)
})
