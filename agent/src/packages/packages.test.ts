import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { ReleaseRef } from '@berth/shared/desired'
import type { Keys } from '@berth/shared/keys/keys'
import { layout } from '@berth/shared/layout'
import { type Objects, ObjectsError } from '@berth/shared/objects/objects'
import type { Package, PackageStatement } from '@berth/shared/release'
import { openFirstRoot } from '@berth/shared/trust'
import { type TestFleet, testFleet } from '../testing/fleet.ts'
import { fleetKeys } from './fleet-keys.ts'
import { packages } from './packages.ts'

const hostNames = ['one.localhost', 'two.localhost']
const build = { name: 'node', version: '24.0.0', platform: 'linux-x64', digest: 'a'.repeat(64) }

const setUp = async (t: TestContext) => {
  const fleet = await testFleet()
  t.after(fleet.remove)
  const deployment = randomUUID()
  const folder = join(fleet.folder, 'cache')
  const unwraps: string[] = []
  const counted: Keys = {
    ...fleet.keys,
    unwrap: async (key, wrapped, context) => {
      unwraps.push(key)
      return fleet.keys.unwrap(key, wrapped, context)
    }
  }
  const open = async (objects: Objects = fleet.objects) =>
    packages({
      objects,
      fleetKeys: await fleetKeys({ objects, keys: counted, fleet: fleet.fleet, folder: join(folder, 'keys') }),
      fleet: fleet.fleet,
      root: openFirstRoot(fleet.birth.root),
      folder: join(folder, 'packages')
    })
  const put = (change: Partial<Parameters<TestFleet['putRelease']>[0]> = {}): Promise<ReleaseRef> =>
    fleet.putRelease({ deployment, number: 1, files: { 'a.txt': 'a' }, build, hostNames, ...change })
  const { application, subscription } = fleet
  const shown = { deployment, application, subscription, hostNames: [...hostNames].reverse(), path: '/' }
  return { fleet, folder, unwraps, open, put, shown }
}

describe('a package', () => {
  it('is opened with one call to the key service, whatever the number of releases', async (t) => {
    const { unwraps, open, put, shown } = await setUp(t)
    const opener = await open()

    for (const ref of [await put(), await put({ number: 2 })])
      assert.equal((await opener.get(ref, shown)).release.deployment, shown.deployment)

    assert.equal(unwraps.length, 1)
  })

  it('lies on this server’s disk only as sealed as it came, and is opened from there with the store gone', async (t) => {
    const { fleet, folder, open, put, shown } = await setUp(t)
    const ref = await put({ settings: { PASSWORD: 'do not tell anybody' } })
    await (await open()).get(ref, shown)
    const gone: Objects = {
      ...fleet.objects,
      get: async () => {
        throw new ObjectsError('unavailable', 'gone')
      }
    }

    const opened = await (await open(gone)).get(ref, shown)

    assert.deepEqual(opened.release.settings, { PASSWORD: 'do not tell anybody' })
    for (const name of await readdir(folder, { recursive: true, withFileTypes: true }))
      if (name.isFile()) assert.ok(!(await readFile(join(name.parentPath, name.name))).includes('do not tell anybody'))
  })

  it('is fetched again when what lies on the disk is damaged', async (t) => {
    const { folder, open, put, shown } = await setUp(t)
    const ref = await put()
    await (await open()).get(ref, shown)
    for (const name of await readdir(join(folder, 'packages'))) await writeFile(join(folder, 'packages', name), 'damaged')

    assert.equal((await (await open()).get(ref, shown)).release.number, 1)
  })

  it('is opened with the key that the sealer made anew, though this server remembers the old one', async (t) => {
    const { fleet, open, put, shown } = await setUp(t)
    const opener = await open()
    await opener.get(await put(), shown)
    await fleet.renewSubscriptionKey()

    assert.equal((await opener.get(await put({ number: 2 }), shown)).release.number, 2)
  })

  it('is forgotten when no release that is desired needs it', async (t) => {
    const { folder, open, put, shown } = await setUp(t)
    const opener = await open()
    const [one, two] = [await put(), await put({ number: 2 })]
    await opener.get(one, shown)
    await opener.get(two, shown)

    await opener.sweep([two])

    assert.deepEqual((await readdir(join(folder, 'packages'))).sort(), [`${two.id}.1`, `${two.id}.1.dsse.json`])
    assert.equal(opener.findKnown(one), undefined)
    assert.ok(opener.findKnown(two))
  })

  const lies: Readonly<Record<string, (statement: PackageStatement) => PackageStatement>> = {
    fleet: (statement) => ({ ...statement, fleet: 'f-other' }),
    release: (statement) => ({ ...statement, release: 'b'.repeat(64) }),
    package: (statement) => ({ ...statement, package: 'b'.repeat(64) }),
    manifest: (statement) => ({ ...statement, manifest: 'b'.repeat(64) }),
    number: (statement) => ({ ...statement, number: 9 })
  }
  for (const [field, lie] of Object.entries(lies))
    it(`whose statement names another ${field} is refused`, async (t) => {
      const { open, put, shown } = await setUp(t)
      const ref = await put({ alter: { statement: lie } })

      await assert.rejects((await open()).get({ ...ref }, shown), { code: 'bad_package' })
    })

  for (const field of ['deployment', 'application', 'subscription', 'path', 'hostNames'] as const)
    it(`that is shown at another ${field} than it was signed for is refused`, async (t) => {
      const { open, put, shown } = await setUp(t)
      const ref = await put()
      const elsewhere = { ...shown, [field]: field === 'hostNames' ? ['one.localhost'] : field === 'path' ? '/x' : randomUUID() }

      await assert.rejects((await open()).get(ref, elsewhere), { code: 'shown_elsewhere' })
    })

  const swaps: Readonly<Record<string, (content: Package) => Package>> = {
    'another fleet': (content) => ({ ...content, fleet: 'f-other' }),
    'other settings than were signed': (content) => ({ ...content, release: { ...content.release, settings: { EVIL: '1' } } }),
    'another manifest than was signed': (content) => ({
      ...content,
      manifest: { ...content.manifest, files: content.manifest.files.map((file) => ({ ...file, path: 'b.txt' })) }
    }),
    'a piece too few': (content) => ({ ...content, pieces: [] }),
    'a piece of another length': (content) => ({
      ...content,
      pieces: content.pieces.map((piece) => ({ ...piece, plainLength: piece.plainLength + 1 }))
    })
  }
  for (const [what, swap] of Object.entries(swaps))
    it(`that holds ${what} is refused`, async (t) => {
      const { open, put, shown } = await setUp(t)
      const ref = await put({ alter: { content: swap } })

      await assert.rejects((await open()).get(ref, shown), { code: 'bad_package' })
    })

  it('that is remembered answers for no other release and no other build than it was opened for', async (t) => {
    const { open, put, shown } = await setUp(t)
    const opener = await open()
    const [one, two] = [await put(), await put({ number: 2 })]
    await opener.describe(two, shown)

    await assert.rejects(opener.describe({ ...two, release: one.release }, shown), { code: 'bad_package' })
    const elsewhere = { ...two, build: { ...two.build, digest: 'b'.repeat(64) } }
    await assert.rejects(opener.describe(elsewhere, shown), { code: 'bad_package' })
    assert.equal((await opener.describe(two, shown)).release.number, 2)
  })

  it('that belongs to another version’s manifest is refused', async (t) => {
    const { open, put, shown } = await setUp(t)
    const other = await put({ number: 2, files: { 'b.txt': 'b' } })
    const signed = (await (await open()).get(other, shown)).manifestSignature
    const ref = await put({ alter: { content: (content) => ({ ...content, manifestSignature: signed }) } })

    await assert.rejects((await open()).get(ref, shown), { code: 'bad_manifest' })
  })

  it('that is not there is named so', async (t) => {
    const { fleet, open, put, shown } = await setUp(t)
    const ref = await put()
    await fleet.objects.delete(layout.fleetPackageSignature(fleet.fleet, ref.id, 1))

    await assert.rejects((await open()).get(ref, shown), { code: 'missing_package' })
  })
})
