import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { it } from 'node:test'
import type { BuildChoice } from '@berth/shared/api/builds'
import { keyIdOf, type Signer, signEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { type Root, signRoot } from '@berth/shared/trust'
import fc from 'fast-check'
import { inTransaction } from '../platform/database.ts'
import { testApi } from '../testing/api.ts'
import { findBuild } from './choose.ts'
import { newestFirst } from './rules.ts'
import { builds } from './schema.ts'

const { db, owner, ours, operator, objects } = await testApi()

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

it('is chosen by platform and by semantic version, not by when it was offered', async () => {
  const offered = ['24.9.0', '24.10.0', '24.10.0-rc.1', '9.0.0'].map((version) => ({
    name: 'node',
    version,
    platform: 'linux-x64'
  }))
  const foreign = { name: 'node', version: '99.0.0', platform: 'darwin-arm64' }
  for (const row of [...offered, foreign]) await owner.insert(builds).values({ ...row, digest: 'a'.repeat(64), size: 1 })
  const found = (choice?: BuildChoice, platform = 'linux-x64') =>
    inTransaction(db, async (tx) => (await findBuild(tx, platform, 'node', choice))?.version)

  assert.equal(await found(), '24.10.0')
  assert.equal(await found({ name: 'node', version: '24.9.0' }), '24.9.0')
  assert.equal(await found({ name: 'node', version: '99.0.0' }), undefined)
  assert.equal(await found(undefined, 'darwin-arm64'), '99.0.0')
})

it('is newer as semantic versions are', () => {
  // The example of SemVer 11, and numbers that no floating-point number tells apart.
  const ordered =
    '1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.9007199254740992 1.0.9007199254740993 2.0.0'
  const versions = ordered.split(' ').map((version) => ({ version }))
  fc.assert(
    fc.property(fc.shuffledSubarray(versions, { minLength: versions.length }), (shuffled) => {
      assert.deepEqual(shuffled.toSorted(newestFirst), versions.toReversed())
    })
  )
})
