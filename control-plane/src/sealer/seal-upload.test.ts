import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { sha256Hex } from '@berth/shared/canonical'
import { systemClock } from '@berth/shared/clock'
import { parseEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { parseManifestStatement } from '@berth/shared/manifest'
import { getBytes } from '@berth/shared/objects/bytes'
import { ObjectsError } from '@berth/shared/objects/objects'
import { verifyStatement } from '@berth/shared/trust'
import { eq } from 'drizzle-orm'
import { operations } from '../operations/schema.ts'
import { auditEntries } from '../platform/schema.ts'
import { releases } from '../releases/schema.ts'
import { scheduleItems } from '../schedules/schema.ts'
import { subscriptions } from '../subscriptions/schema.ts'
import {
  keysBelow,
  must,
  type Publication,
  publicationOf,
  putBuild,
  putTenant,
  sendUpload,
  type Tenant,
  testCell
} from '../testing/cell.ts'
import { findRoot } from '../trust/roots.ts'
import { uploads } from '../uploads/schema.ts'
import { versionPacks, versions } from '../versions/schema.ts'
import type { Checkpoint } from './checkpoints.ts'
import { makeSealer, type SealerDeps } from './sealer.ts'

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

const files = { 'server.js': 'console.log(1)', 'public/a.txt': 'a'.repeat(2000), 'public/b.bin': randomBytes(3000) }
const findUpload = async (id: string) => must((await owner.select().from(uploads).where(eq(uploads.id, id)))[0])
const versionsOf = (tenant: Tenant) => owner.select().from(versions).where(eq(versions.applicationId, tenant.application))

describe('sealing an upload', () => {
  it('makes one signed version, keeps nothing readable in the vault, and empties staging', async () => {
    const tenant = await putTenant(cell)
    const publication = publicationOf(tenant, files)
    const upload = await sendUpload(cell, tenant, publication)

    await makeTestSealer().pass()

    const [version, ...others] = await versionsOf(tenant)
    assert.ok(version)
    assert.equal(others.length, 0)
    assert.deepEqual([version.number, version.kind, version.files, version.uploadId], [1, 'node', 3, upload])
    assert.equal((await findUpload(upload)).state, 'sealed')
    assert.deepEqual(await keysBelow(cell, layout.stagingPrefix(tenant.subscription, upload)), [])
    const packs = await owner.select().from(versionPacks).where(eq(versionPacks.versionId, version.id))
    assert.deepEqual(
      (await keysBelow(cell, `vault/${tenant.subscription}/`)).toSorted(),
      [
        ...packs.flatMap(({ pack }) => [
          layout.vaultPack(tenant.subscription, tenant.application, pack),
          layout.vaultPackKey(tenant.subscription, tenant.application, pack)
        ]),
        layout.vaultManifest(tenant.subscription, tenant.application, 1),
        layout.vaultManifestSignature(tenant.subscription, tenant.application, 1)
      ].toSorted()
    )
    for (const key of await keysBelow(cell, `vault/${tenant.subscription}/`)) {
      const bytes = must(await getBytes(objects, key))
      assert.equal(bytes.includes('console.log'), false)
    }
    const { root } = must(await findRoot(objects, 1))
    const envelope = must(await getBytes(objects, layout.vaultManifestSignature(tenant.subscription, tenant.application, 1)))
    const statement = parseManifestStatement(verifyStatement(root, parseEnvelope(envelope), 'manifest'))
    assert.equal(statement.manifest, version.manifest)
  })

  it('takes numbers in order, one for each upload, also when several are sealed at once', async () => {
    const tenant = await putTenant(cell)
    for (let at = 0; at < 5; at++) await sendUpload(cell, tenant, publicationOf(tenant, { 'index.html': `version ${at}` }))

    await makeTestSealer().pass()

    assert.deepEqual((await versionsOf(tenant)).map(({ number }) => number).toSorted(), [1, 2, 3, 4, 5])
  })

  it('starts a deployment that was wished for in the same transaction', async () => {
    const tenant = await putTenant(cell)
    await putBuild(cell)
    const upload = await sendUpload(cell, tenant, { ...publicationOf(tenant, files), deploy: { deployment: tenant.deployment } })

    await makeTestSealer().pass()

    const [item] = await owner.select().from(scheduleItems).where(eq(scheduleItems.deploymentId, tenant.deployment))
    const [operation] = await owner.select().from(operations).where(eq(operations.deploymentId, tenant.deployment))
    const [release] = await owner.select().from(releases).where(eq(releases.deploymentId, tenant.deployment))
    assert.equal((await findUpload(upload)).scheduleItemId, must(item).id)
    assert.deepEqual([must(operation).state, must(operation).releaseId], ['queued', must(release).id])
    assert.equal(must(item).operationId, must(operation).id)
  })

  it('makes the version, and says why it was not deployed, when the wish cannot be met', async () => {
    const [tenant, stranger] = [await putTenant(cell), await putTenant(cell)]
    await putBuild(cell)
    const upload = await sendUpload(cell, tenant, {
      ...publicationOf(tenant, files),
      deploy: { deployment: stranger.deployment }
    })

    await makeTestSealer().pass()

    const row = await findUpload(upload)
    assert.deepEqual([row.state, row.refusalCode], ['sealed', 'not_found'])
    assert.equal((await owner.select().from(operations).where(eq(operations.deploymentId, stranger.deployment))).length, 0)
  })

  it('makes a subscription’s keys once', async () => {
    const tenant = await putTenant(cell, { pairs: false })
    await makeTestSealer().pass()
    const before = await Promise.all((await keysBelow(cell, `keys/${tenant.subscription}/`)).map((key) => getBytes(objects, key)))
    await owner.update(subscriptions).set({ keysMadeAt: null }).where(eq(subscriptions.id, tenant.subscription))

    await makeTestSealer().pass()

    const after = await Promise.all((await keysBelow(cell, `keys/${tenant.subscription}/`)).map((key) => getBytes(objects, key)))
    assert.equal(before.length, 3)
    assert.deepEqual(after, before)
  })
})

describe('a sealer that is stopped', () => {
  const checkpoints: Checkpoint[] = [
    'content-key-put',
    'key-pairs-put',
    'pack-put',
    'upload-verified',
    'number-reserved',
    'manifest-put',
    'manifest-signed',
    'version-committed'
  ]
  for (const stopAt of checkpoints) {
    it(`at ${stopAt} is followed by one that ends with exactly one version and an empty staging`, async () => {
      const tenant = await putTenant(cell)
      await putBuild(cell)
      const upload = await sendUpload(cell, tenant, {
        ...publicationOf(tenant, files),
        deploy: { deployment: tenant.deployment }
      })
      let stopped = 0
      const checkpoint = async (reached: Checkpoint) => {
        if (reached === stopAt && stopped++ === 0) throw new Error('killed')
      }
      await makeTestSealer({ checkpoint }).pass()
      assert.ok(stopped > 0)

      await makeTestSealer().pass()

      assert.deepEqual(
        (await versionsOf(tenant)).map(({ number }) => number),
        [1]
      )
      assert.equal((await findUpload(upload)).state, 'sealed')
      assert.deepEqual(await keysBelow(cell, layout.stagingPrefix(tenant.subscription, upload)), [])
      assert.equal((await owner.select().from(operations).where(eq(operations.deploymentId, tenant.deployment))).length, 1)
      const manifests = (await keysBelow(cell, `vault/${tenant.subscription}/`)).filter((key) => key.includes('/manifests/'))
      assert.equal(manifests.length, 2)
    })
  }

  it('after a refusal leaves nothing behind either', async () => {
    const tenant = await putTenant(cell)
    const upload = await sendUpload(cell, tenant, {
      ...publicationOf(tenant, files),
      onSent: ([first]) => (first ? [first] : [])
    })
    const checkpoint = async (reached: Checkpoint) => {
      if (reached === 'upload-refused') throw new Error('killed')
    }
    await makeTestSealer({ checkpoint }).pass()

    await makeTestSealer().pass()

    assert.equal((await findUpload(upload)).state, 'refused')
    assert.deepEqual(await keysBelow(cell, layout.stagingPrefix(tenant.subscription, upload)), [])
  })
})

describe('an upload is refused, with nothing made and nothing left', () => {
  const twoFiles = (tenant: Tenant) => publicationOf(tenant, { 'a.txt': 'first', 'b.txt': 'second' })
  const withPath = (path: string) => (tenant: Tenant) => publicationOf(tenant, { [path]: 'x' })
  const flip = (bytes: Buffer, at: number) => {
    const altered = Buffer.from(bytes)
    altered.writeUInt8(altered.readUInt8(at) ^ 1, at)
    return altered
  }
  const bad: [title: string, code: string, make: (tenant: Tenant) => Publication][] = [
    ['a path leaves its folder', 'bad_path', withPath('../a')],
    ['a path is absolute', 'bad_path', withPath('/etc/passwd')],
    ['a path is a device of Windows', 'bad_path', withPath('a/NUL.txt')],
    ['a path names a stream', 'bad_path', withPath('a.txt:b')],
    ['a path ends with a dot', 'bad_path', withPath('folder./a')],
    ['a path is the platform’s own', 'bad_path', withPath('.berth/ready')],
    [
      'two names collide when case is ignored',
      'path_collision',
      (tenant) => publicationOf(tenant, { 'A.txt': '1', 'a.txt': '2' })
    ],
    [
      'it has too many files',
      'too_large',
      (tenant) => publicationOf(tenant, Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`f${at}`, `${at}`])))
    ],
    ['it has too many bytes', 'too_large', (tenant) => publicationOf(tenant, { a: randomBytes(100_001) })],
    [
      'a path holds half a character',
      'bad_manifest',
      (tenant) => ({
        ...publicationOf(tenant, { a: 'x' }),
        manifestText: (text) => text.replace('"path":"a"', '"path":"\\ud800"')
      })
    ],
    [
      'the manifest names a field that no database could keep',
      'bad_manifest',
      (tenant) => ({ ...publicationOf(tenant, { a: 'x' }), manifestText: (text) => text.replace('{', '{"\\u0000":1,') })
    ],
    ['it has no files', 'bad_manifest', (tenant) => publicationOf(tenant, {})],
    ['a pack is missing', 'pack_missing', (tenant) => ({ ...twoFiles(tenant), onSent: (packs) => packs.slice(1) })],
    [
      'a pack is truncated',
      'pack_altered',
      (tenant) => ({ ...twoFiles(tenant), onSent: (packs) => packs.map((one) => ({ ...one, bytes: one.bytes.subarray(0, -1) })) })
    ],
    [
      'a pack has grown',
      'pack_altered',
      (tenant) => ({
        ...twoFiles(tenant),
        onSent: (packs) => packs.map((one) => ({ ...one, bytes: Buffer.concat([one.bytes, Buffer.from('x')]) }))
      })
    ],
    [
      'packs are swapped',
      'pack_altered',
      (tenant) => ({
        ...twoFiles(tenant),
        onSent: (packs) => packs.map(({ pack }, at) => ({ pack, bytes: must(packs.at(at - 1)).bytes }))
      })
    ],
    [
      'a pack is tampered with',
      'pack_altered',
      (tenant) => ({ ...twoFiles(tenant), onSent: (packs) => packs.map((one) => ({ ...one, bytes: flip(one.bytes, 20) })) })
    ],
    ['the manifest is missing', 'manifest_missing', (tenant) => ({ ...twoFiles(tenant), onManifest: () => undefined })],
    [
      'the manifest is tampered with',
      'manifest_altered',
      (tenant) => ({ ...twoFiles(tenant), onManifest: (sealed) => flip(sealed, sealed.length - 20) })
    ],
    [
      'the manifest is not the declared one',
      'manifest_altered',
      (tenant) => ({ ...twoFiles(tenant), declaredManifest: sha256Hex('another') })
    ],
    [
      'the manifest was sealed for another upload',
      'manifest_altered',
      (tenant) => ({ ...twoFiles(tenant), sealedFor: { upload: randomUUID() } })
    ],
    [
      'the manifest is another application’s',
      'bad_manifest',
      (tenant) => {
        const publication = twoFiles(tenant)
        return { ...publication, manifest: { ...publication.manifest, application: randomUUID() } }
      }
    ],
    [
      'a piece is not named by the manifest',
      'foreign_piece',
      (tenant) => {
        const publication = twoFiles(tenant)
        publication.pieces.set(sha256Hex('foreign'), Buffer.from('foreign'))
        return publication
      }
    ],
    [
      'a piece of the manifest was not sent',
      'missing_piece',
      (tenant) => {
        const publication = twoFiles(tenant)
        publication.pieces.delete(sha256Hex('first'))
        return publication
      }
    ],
    [
      'a piece holds other bytes than its name says',
      'bad_piece',
      (tenant) => {
        const publication = twoFiles(tenant)
        publication.pieces.set(sha256Hex('first'), Buffer.from('forst'))
        return publication
      }
    ],
    [
      'a piece has another length than its file',
      'bad_piece',
      (tenant) => {
        const publication = twoFiles(tenant)
        for (const file of publication.manifest.files) file.size += 1
        return publication
      }
    ],
    [
      'a file is cut in a way that its size does not have',
      'bad_manifest',
      (tenant) => {
        const publication = twoFiles(tenant)
        for (const file of publication.manifest.files) file.pieces.push(...file.pieces)
        return publication
      }
    ],
    [
      'files are not in order',
      'bad_manifest',
      (tenant) => {
        const publication = twoFiles(tenant)
        publication.manifest.files.reverse()
        return publication
      }
    ]
  ]
  for (const [title, code, make] of bad) {
    it(`when ${title}`, async () => {
      const tenant = await putTenant(cell)
      const upload = await sendUpload(cell, tenant, make(tenant))

      await makeTestSealer().pass()

      const row = await findUpload(upload)
      assert.deepEqual([row.state, row.refusalCode], ['refused', code])
      assert.ok(row.refusalMessage)
      assert.deepEqual(await versionsOf(tenant), [])
      assert.deepEqual(await keysBelow(cell, `staging/${tenant.subscription}/`), [])
      assert.deepEqual(await keysBelow(cell, `vault/${tenant.subscription}/`), [])
      const audit = await owner
        .select()
        .from(auditEntries)
        .where(eq(auditEntries.object, `upload/${upload}`))
      assert.deepEqual(
        audit.map(({ action, outcome }) => [action, outcome]),
        [['uploads.seal', 'refused']]
      )
    })
  }

  it('when it could not be sealed for an hour, and not because something was away', async () => {
    const tenant = await putTenant(cell)
    const upload = await sendUpload(cell, tenant, twoFiles(tenant))
    const since = async (ms: number, error: Error) => {
      await owner
        .update(uploads)
        .set({ finishedAt: new Date(Date.now() - ms) })
        .where(eq(uploads.id, upload))
      const checkpoint = async (reached: Checkpoint) => {
        if (reached === 'pack-put') throw error
      }
      await makeTestSealer({ checkpoint }).pass()
      const { state, refusalCode } = await findUpload(upload)
      return [state, refusalCode]
    }
    const hourMs = 3_600_000

    assert.deepEqual(await since(hourMs / 2, new Error('odd')), ['finishing', null])
    assert.deepEqual(await since(hourMs, new ObjectsError('unavailable', 'the store is away')), ['finishing', null])
    assert.deepEqual(await since(hourMs, new Error('odd')), ['refused', 'sealing_failed'])
    assert.deepEqual(await keysBelow(cell, `staging/${tenant.subscription}/`), [])
  })

  it('when it was not finished in time', async () => {
    const tenant = await putTenant(cell)
    const upload = await sendUpload(cell, tenant, { ...twoFiles(tenant), expiresAt: new Date(Date.now() - 1000) })

    await makeTestSealer().pass()

    assert.deepEqual([(await findUpload(upload)).state, (await findUpload(upload)).refusalCode], ['refused', 'upload_expired'])
    assert.deepEqual(await keysBelow(cell, `staging/${tenant.subscription}/`), [])
  })
})
