import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { canonicalJson, sha256Hex } from '@berth/shared/canonical'
import { systemClock } from '@berth/shared/clock'
import { parseEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { parseManifestStatement } from '@berth/shared/manifest'
import { getBytes } from '@berth/shared/objects/bytes'
import { openPiece } from '@berth/shared/packs/pieces'
import {
  fleetKeyContext,
  fleetKeyName,
  fleetPairContext,
  type Package,
  packageContext,
  parsePackage,
  parsePackageStatement,
  releaseDigest
} from '@berth/shared/release'
import { openWithKey, openWithPrivateKey } from '@berth/shared/sealed'
import { openStatement, verifyStatement } from '@berth/shared/trust'
import { eq } from 'drizzle-orm'
import { releases } from '../releases/schema.ts'
import { sites } from '../sites/schema.ts'
import {
  keysBelow,
  must,
  publicationOf,
  putBuild,
  putFleet,
  putTenant,
  sendUpload,
  type Tenant,
  testCell
} from '../testing/cell.ts'
import { findRoot } from '../trust/roots.ts'
import type { Checkpoint } from './checkpoints.ts'
import { parseStoredPair } from './fleet-keys.ts'
import { placePieces } from './piece-places.ts'
import { makeSealer, type SealerDeps } from './sealer.ts'
import { vaultPacks } from './vault-packs.ts'

const cell = await testCell()
const { owner, objects, keys } = cell
const db = cell.dbOf('berth_sealer')
const makeTestSealer = (more: Partial<SealerDeps> = {}) =>
  makeSealer({
    db,
    hints: async () => undefined,
    objects,
    keys,
    clock: systemClock,
    log: () => undefined,
    limits: { filesMax: 20, bytesMax: 100_000 },
    platform: 'linux-x64',
    ...more
  })
const files = { 'server.js': 'console.log(1)', 'a.txt': 'a'.repeat(2000), 'b.bin': randomBytes(3000) }
const publishAndDeploy = async (tenant: Tenant) =>
  sendUpload(cell, tenant, { ...publicationOf(tenant, files), deploy: { deployment: tenant.deployment } })
const findRelease = async (tenant: Tenant) =>
  must((await owner.select().from(releases).where(eq(releases.deploymentId, tenant.deployment)))[0])

/** Opens a package as a server of the fleet does: from nothing but the fleet's prefix and the fleet's key. */
const openPackage = async (fleet: string, { subscription, deployment }: Tenant, release: string): Promise<Package> => {
  const pair = parseStoredPair(must(await getBytes(objects, layout.fleetKey(fleet))))
  const privateKey = await keys.unwrap(fleetKeyName(fleet), Buffer.from(pair.wrapped, 'base64'), fleetPairContext(fleet))
  const sealedKey = must(await getBytes(objects, layout.fleetSealedKey(fleet, subscription)))
  const key = await openWithPrivateKey(privateKey, fleetKeyContext(fleet, subscription), sealedKey)
  const sealed = must(await getBytes(objects, layout.fleetPackage(fleet, release, 1)))
  return parsePackage(await openWithKey(key, packageContext(fleet, subscription, deployment), sealed))
}

describe('packaging a release', () => {
  it('gives a fleet’s servers all that they need to run it, and nothing that opens more', async () => {
    const fleet = await putFleet(cell)
    const tenant = await putTenant(cell, { region: fleet })
    await putBuild(cell)
    await publishAndDeploy(tenant)

    await makeTestSealer().pass()

    const release = await findRelease(tenant)
    assert.deepEqual([release.status, release.fleetId], ['packaged', fleet])
    const message = await openPackage(fleet, tenant, release.id)
    assert.equal(sha256Hex(canonicalJson(message)), release.packageDigest)
    assert.equal(releaseDigest(message.release), release.digest)
    assert.deepEqual(message.release.settings, { GREETING: 'hello' })
    const wanted = message.manifest.files.flatMap(({ pieces }) => pieces)
    assert.deepEqual(message.pieces.map(({ digest }) => digest).toSorted(), wanted.toSorted())
    for (const piece of message.pieces) {
      const { pack, incarnation, offset, length } = piece
      const range = { start: offset, end: offset + length - 1 }
      const entry = must(await getBytes(objects, layout.fleetPack(fleet, pack, incarnation), { range }))
      const { subscription, application } = tenant
      const plaintext = await openPiece({ ...piece, key: Buffer.from(piece.key, 'base64'), subscription, application, entry })
      assert.equal(sha256Hex(plaintext), piece.digest)
    }
    const packKeys = (await keysBelow(cell, layout.fleetPrefix(fleet))).filter((key) => key.endsWith('.key'))
    assert.deepEqual(packKeys, [])
  })

  it('is signed by the sealer for this fleet, site and path, and carries the signature of its manifest', async () => {
    const fleet = await putFleet(cell)
    const tenant = await putTenant(cell, { region: fleet })
    await putBuild(cell)
    await publishAndDeploy(tenant)

    await makeTestSealer().pass()

    const release = await findRelease(tenant)
    const { root } = must(await findRoot(objects, 1))
    const signature = must(await getBytes(objects, layout.fleetPackageSignature(fleet, release.id, 1)))
    const statement = parsePackageStatement(openStatement(root, signature, 'package'))
    assert.deepEqual(statement, {
      fleet,
      subscription: tenant.subscription,
      deployment: tenant.deployment,
      hostNames: [tenant.host],
      path: '/',
      application: tenant.application,
      number: 1,
      manifest: must(release.tuple).manifest,
      release: release.digest,
      package: release.packageDigest
    })
    const message = await openPackage(fleet, tenant, release.id)
    const envelope = parseEnvelope(JSON.stringify(message.manifestSignature))
    const manifest = parseManifestStatement(verifyStatement(root, envelope, 'manifest'))
    assert.equal(manifest.manifest, statement.manifest)
    for (const key of [layout.fleetBuild, layout.fleetBuildStatement])
      assert.ok(await objects.head(key(fleet, 'node', '24.1.0', 'linux-x64')))
  })

  it('holds the keys of exactly the manifest’s pieces, also where their packs hold others', async () => {
    const tenant = await putTenant(cell)
    const [contentKey, { subscription, application }] = [randomBytes(32), tenant]
    const of = { objects, contentKey, subscription, application }
    const vault = vaultPacks({ ...of, onPut: async () => undefined })
    for (const text of ['one', 'two', 'three']) await vault.add(sha256Hex(text), Buffer.from(text))
    const packs = (await vault.finish()).map((pack) => ({ ...pack, incarnation: 1 }))
    const { manifest } = publicationOf(tenant, { a: 'one', b: 'three', c: 'one' })

    const pieces = await placePieces(of, manifest, packs)

    assert.deepEqual(pieces.map(({ digest }) => digest).toSorted(), [sha256Hex('one'), sha256Hex('three')].toSorted())
    const { manifest: larger } = publicationOf(tenant, { a: 'one', b: 'four' })
    await assert.rejects(placePieces(of, larger, packs), { code: 'vault_damaged' })
  })

  it('uses one data key for a subscription in a fleet, and another in another fleet', async () => {
    const [one, two] = [await putFleet(cell), await putFleet(cell)]
    const tenant = await putTenant(cell, { region: one })
    await putBuild(cell)
    await publishAndDeploy(tenant)
    await makeTestSealer().pass()
    const first = must(await getBytes(objects, layout.fleetSealedKey(one, tenant.subscription)))
    await publishAndDeploy(tenant)

    await makeTestSealer().pass()

    assert.deepEqual(await getBytes(objects, layout.fleetSealedKey(one, tenant.subscription)), first)
    assert.equal(await objects.head(layout.fleetSealedKey(two, tenant.subscription)), undefined)
  })

  it('waits, without failing, until a fleet is there', async () => {
    const tenant = await putTenant(cell, { region: 'not-yet' })
    await putBuild(cell)
    await publishAndDeploy(tenant)
    await makeTestSealer().pass()
    assert.equal((await findRelease(tenant)).status, 'requested')
    const fleet = await putFleet(cell)
    await owner.update(sites).set({ region: fleet }).where(eq(sites.id, tenant.site))

    await makeTestSealer().pass()

    assert.equal((await findRelease(tenant)).status, 'packaged')
  })

  it('gives a release up, and says why, when the vault no longer has what it needs', async () => {
    const fleet = await putFleet(cell)
    const tenant = await putTenant(cell, { region: fleet })
    await putBuild(cell)
    await publishAndDeploy(tenant)
    const checkpoint = async (reached: Checkpoint) => {
      if (reached !== 'version-committed') return
      for (const key of await keysBelow(cell, `vault/${tenant.subscription}/`))
        if (key.includes('/manifests/')) await objects.delete(key)
    }

    await makeTestSealer({ checkpoint }).pass()

    const release = await findRelease(tenant)
    assert.deepEqual([release.status, release.reason?.code], ['failed', 'vault_damaged'])
  })

  for (const stopAt of ['site-placed', 'fleet-key-sealed', 'packs-copied', 'package-put', 'release-committed'] as const) {
    it(`stopped at ${stopAt} is finished by the next sealer, whose package opens`, async () => {
      const fleet = await putFleet(cell)
      const tenant = await putTenant(cell, { region: fleet })
      await putBuild(cell)
      await publishAndDeploy(tenant)
      let stopped = 0
      const checkpoint = async (reached: Checkpoint) => {
        if (reached === stopAt && stopped++ === 0) throw new Error('killed')
      }
      // Stopped as a killed process is: it does not come to a second try.
      await makeTestSealer({ checkpoint, clock: { ...systemClock, now: () => new Date(0) } }).pass()
      assert.equal(stopped, 1)

      await makeTestSealer().pass()

      const release = await findRelease(tenant)
      assert.equal(release.status, 'packaged')
      assert.equal(sha256Hex(canonicalJson(await openPackage(fleet, tenant, release.id))), release.packageDigest)
    })
  }
})
