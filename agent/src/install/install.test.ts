import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import type { BuildRef } from '@berth/shared/build'
import { openFirstRoot } from '@berth/shared/trust'
import fc from 'fast-check'
import { Header } from 'tar'
import type { Checkpoint } from '../checkpoint.ts'
import { fleetKeys } from '../packages/fleet-keys.ts'
import { packages } from '../packages/packages.ts'
import { tarZst } from '../testing/archive.ts'
import { type Files, testFleet } from '../testing/fleet.ts'
import { builds } from './builds.ts'
import { identities } from './identities.ts'
import { rangesOf } from './ranges.ts'
import { releases } from './releases.ts'

const never = new AbortController().signal
const hostNames = ['one.localhost']
const plenty = async () => 1e12
const isRoot = process.getuid?.() === 0

const setUp = async (t: TestContext) => {
  const fleet = await testFleet()
  t.after(fleet.remove)
  const { objects, keys, fleet: name } = fleet
  const root = openFirstRoot(fleet.birth.root)
  const opener = await packages({
    objects,
    fleetKeys: await fleetKeys({ objects, keys, fleet: name, folder: join(fleet.folder, 'key-cache') }),
    fleet: name,
    root,
    folder: join(fleet.folder, 'packages')
  })
  const deployment = randomUUID()
  const build: BuildRef = { name: 'node', version: '24.0.0', platform: 'linux-x64', digest: 'a'.repeat(64) }
  let number = 0
  return {
    fleet,
    deployment,
    put: async (files: Files) => {
      number++
      const ref = await fleet.putRelease({ deployment, number, files, build, hostNames })
      const shown = { deployment, application: fleet.application, subscription: fleet.subscription, hostNames, path: '/' }
      return { release: ref.release, content: await opener.get(ref, shown) }
    },
    openReleases: (change: { freeBytes?: () => Promise<number>; checkpoint?: Checkpoint } = {}) =>
      releases({ objects, fleet: name, folder: join(fleet.folder, 'releases'), freeBytes: plenty, ...change }),
    openBuilds: (change: { freeBytes?: () => Promise<number>; checkpoint?: Checkpoint } = {}) =>
      builds({
        objects,
        fleet: name,
        root,
        folder: join(fleet.folder, 'builds'),
        platform: 'linux-x64',
        freeBytes: plenty,
        ...change
      })
  }
}

const dieAt = (point: string): Checkpoint => {
  let hasDied = false
  return (name) => {
    if (name !== point || hasDied) return
    hasDied = true
    throw new Error(`killed at ${name}`)
  }
}

describe('the files of a release', () => {
  it('are what was published, large files and empty ones, in folders and executable', async (t) => {
    const { put, openReleases, deployment } = await setUp(t)
    const large = randomBytes(9 * 1024 * 1024)
    const { release, content } = await put({
      'a/b/large.bin': large,
      'empty.txt': '',
      'run.sh': 'go',
      'a/copy.txt': 'same',
      'copy.txt': 'same'
    })
    const installed = await openReleases()

    await installed.install(content, undefined, never)

    const folder = installed.folderOf(deployment, release)
    assert.ok((await readFile(join(folder, 'a/b/large.bin'))).equals(large))
    assert.equal(await readFile(join(folder, 'empty.txt'), 'utf8'), '')
    assert.equal(await readFile(join(folder, 'a/copy.txt'), 'utf8'), 'same')
    assert.equal((await stat(join(folder, 'run.sh'))).mode & 0o777, 0o750)
    assert.equal((await stat(join(folder, 'copy.txt'))).mode & 0o777, 0o640)
    assert.equal((await stat(join(folder, 'a/b'))).mode & 0o777, 0o750)
    assert.deepEqual((await installed.observe(deployment)).whole, [release])
  })

  it('are linked from another release only when their bytes are still right', async (t) => {
    const { put, openReleases, deployment } = await setUp(t)
    const first = await put({ 'good.txt': 'good', 'rotten.txt': 'fresh', 'changed.txt': 'old' })
    const second = await put({ 'good.txt': 'good', 'rotten.txt': 'fresh', 'changed.txt': 'new' })
    const installed = await openReleases()
    await installed.install(first.content, undefined, never)
    await writeFile(join(installed.folderOf(deployment, first.release), 'rotten.txt'), 'frosh')

    await installed.install(second.content, undefined, never)

    const inode = async (release: string, file: string) => (await stat(join(installed.folderOf(deployment, release), file))).ino
    assert.equal(await inode(first.release, 'good.txt'), await inode(second.release, 'good.txt'))
    assert.notEqual(await inode(first.release, 'rotten.txt'), await inode(second.release, 'rotten.txt'))
    const folder = installed.folderOf(deployment, second.release)
    assert.deepEqual(
      await Promise.all(['good.txt', 'rotten.txt', 'changed.txt'].map((file) => readFile(join(folder, file), 'utf8'))),
      ['good', 'fresh', 'new']
    )
  })

  for (const point of ['release/linked', 'release/written', 'release/renamed'])
    it(`come right after the agent was killed at ${point}`, async (t) => {
      const { put, openReleases, deployment } = await setUp(t)
      const { release, content } = await put({ 'server.js': 'one' })
      const killed = await openReleases({ checkpoint: dieAt(point) })
      await assert.rejects(killed.install(content, undefined, never), /killed/)

      const next = await openReleases()
      await next.install(content, undefined, never)

      assert.equal(await readFile(join(next.folderOf(deployment, release), 'server.js'), 'utf8'), 'one')
      assert.deepEqual(await next.observe(deployment), { whole: [release], any: [release], adjacent: {} })
    })

  it('never have their final name while they are removed in part', async (t) => {
    const { put, openReleases, deployment } = await setUp(t)
    const { release, content } = await put({ 'server.js': 'one' })
    const killed = await openReleases({ checkpoint: dieAt('release/unnamed') })
    await killed.install(content, undefined, never)
    await assert.rejects(killed.remove(deployment, release), /killed/)

    assert.deepEqual(await killed.observe(deployment), { whole: [], any: [release], adjacent: {} })
    await killed.remove(deployment, release)
    assert.deepEqual(await killed.deployments(), [])
  })

  it('leave nothing behind when the disk is full before or while they are written', async (t) => {
    const { put, openReleases, deployment } = await setUp(t)
    const { content } = await put({ 'server.js': 'one' })
    const full = await openReleases({ freeBytes: async () => 1000 })
    await assert.rejects(full.install(content, undefined, never), { code: 'disk_full' })
    const filling = await openReleases({
      checkpoint: (name) => {
        if (name === 'release/written') throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
      }
    })

    await assert.rejects(filling.install(content, undefined, never), { code: 'disk_full' })

    assert.deepEqual(await filling.observe(deployment), { whole: [], any: [], adjacent: {} })
  })

  it('belong to us and to the deployment’s group, which may only read', { skip: !isRoot && 'not root' }, async (t) => {
    const { put, openReleases, deployment } = await setUp(t)
    const { release, content } = await put({ 'a/server.js': 'one' })
    const installed = await openReleases()

    await installed.install(content, { uid: 200_123, gid: 200_123 }, never)

    const folder = installed.folderOf(deployment, release)
    for (const [path, mode] of [
      ['.', 0o750],
      ['..', 0o750],
      ['a', 0o750],
      ['a/server.js', 0o640]
    ] as const) {
      const found = await stat(join(folder, path))
      assert.deepEqual([found.uid, found.gid, found.mode & 0o777], [0, 200_123, mode], path)
    }
  })

  it('are fetched in few reads of bounded size that cover every piece', () => {
    const piece = fc.record({
      pack: fc.constantFrom('a', 'b'),
      gap: fc.nat(200_000),
      length: fc.integer({ min: 1, max: 9_000_000 })
    })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (made) => {
        const ends: Record<string, number> = {}
        const pieces = made.map(({ pack, gap, length }, n) => {
          const offset = (ends[pack] ?? 0) + gap
          ends[pack] = offset + length
          return { digest: String(n), pack, incarnation: 1, offset, length, codec: 0, plainLength: length, key: '' }
        })
        const ranges = rangesOf(pieces)
        assert.deepEqual(
          ranges.flatMap((range) => range.pieces.map(({ digest }) => digest)).sort(),
          pieces.map(({ digest }) => digest).sort()
        )
        for (const range of ranges) {
          assert.ok(range.pieces.length === 1 || range.end - range.start < 4 * 1024 * 1024)
          for (const { offset, length, pack } of range.pieces)
            assert.ok(pack === range.pack && offset >= range.start && offset + length - 1 <= range.end)
        }
      })
    )
  })
})

describe('builds', () => {
  it('are installed with what they need, side by side, and only those that are needed stay', async (t) => {
    const { fleet, openBuilds } = await setUp(t)
    const platform = 'linux-x64'
    const node = await fleet.putBuild(
      { name: 'node', version: '24.0.0', platform, requires: [] },
      await tarZst({ 'bin/node': 'x' })
    )
    const page = await fleet.putBuild(
      { name: 'static', version: '1.0.0', platform, requires: [node] },
      await tarZst({ 'serve.js': 'y' })
    )
    const newer = await fleet.putBuild(
      { name: 'node', version: '24.1.0', platform, requires: [] },
      await tarZst({ 'bin/node': 'z' })
    )
    const installed = await openBuilds()

    const [found] = await Promise.all([
      installed.install(page, never),
      installed.install(page, never),
      installed.install(newer, never)
    ])

    assert.equal(await readFile(join(found.folder, 'serve.js'), 'utf8'), 'y')
    assert.equal(await readFile(join(found.requires.node ?? '', 'bin/node'), 'utf8'), 'x')
    assert.deepEqual(installed.list(), ['node-24.0.0', 'node-24.1.0', 'static-1.0.0'])
    assert.deepEqual(await (await openBuilds()).find(page), found)

    await installed.sweep([page])
    assert.deepEqual(installed.list(), ['node-24.0.0', 'static-1.0.0'])
    assert.equal((await readdir(join(fleet.folder, 'builds'))).length, 4)
  })

  for (const point of ['build/fetched', 'build/unpacked', 'build/renamed'])
    it(`come right after the agent was killed at ${point}`, async (t) => {
      const { fleet, openBuilds } = await setUp(t)
      const archive = await tarZst({ 'build.json': '{}' })
      const ref = await fleet.putBuild({ name: 'node', version: '24.0.0', platform: 'linux-x64', requires: [] }, archive)
      const killed = await openBuilds({ checkpoint: dieAt(point) })
      await assert.rejects(killed.install(ref, never), /killed/)
      assert.equal(await killed.find(ref), undefined)

      const next = await openBuilds()
      const found = await next.install(ref, never)

      assert.equal(await readFile(join(found.folder, 'build.json'), 'utf8'), '{}')
      await next.sweep([ref])
      assert.equal((await readdir(join(fleet.folder, 'builds'))).length, 2)
    })

  it('of other bytes than the vendor signed are refused and leave nothing', async (t) => {
    const { fleet, openBuilds } = await setUp(t)
    const archive = await tarZst({ 'build.json': '{}' })
    const ref = await fleet.putBuild({ name: 'node', version: '24.0.0', platform: 'linux-x64', requires: [] }, archive)
    const key = `fleets/${fleet.fleet}/builds/node/24.0.0/linux-x64/build.tar.zst`
    const installed = await openBuilds()

    for (const bytes of [
      await tarZst({ 'build.json': '{"evil":1}' }),
      Buffer.concat([archive, Buffer.from('more')]),
      archive.subarray(0, 10)
    ]) {
      await fleet.objects.put(key, bytes)
      await assert.rejects(installed.install(ref, never), { code: 'bad_build' })
    }
    await assert.rejects(installed.install({ ...ref, platform: 'windows-x64' }, never), { code: 'bad_build' })
    await assert.rejects(installed.install({ ...ref, digest: 'b'.repeat(64) }, never), { code: 'bad_build' })
    assert.deepEqual(await readdir(join(fleet.folder, 'builds')), [])
  })

  it('whose archive holds a link, a device or a path that leads out are refused', async (t) => {
    const { fleet, openBuilds } = await setUp(t)
    const installed = await openBuilds()
    const evil = {
      link: entry({ path: 'link', type: 'SymbolicLink', linkpath: '/etc/passwd' }),
      hardlink: entry({ path: 'link', type: 'Link', linkpath: '../../state/birth.json' }),
      device: entry({ path: 'device', type: 'CharacterDevice' }),
      out: entry({ path: '../out.txt', type: 'File', size: 1 }, 'x'),
      absolute: entry({ path: `${fleet.folder}/absolute.txt`, type: 'File', size: 1 }, 'x')
    }
    for (const [what, tar] of Object.entries(evil)) {
      const archive = zstdCompressSync(
        Buffer.concat([entry({ path: 'build.json', type: 'File', size: 2 }, '{}'), tar, Buffer.alloc(1024)])
      )
      const version = `1.0.${Object.keys(evil).indexOf(what)}`
      const ref = await fleet.putBuild({ name: 'node', version, platform: 'linux-x64', requires: [] }, archive)
      await assert.rejects(installed.install(ref, never), { code: 'bad_build' }, what)
    }
    assert.deepEqual(await readdir(join(fleet.folder, 'builds')), [])
    assert.ok(!(await readdir(fleet.folder)).some((name) => /out|absolute/.test(name)))
  })
})

describe('identities', () => {
  it('are one a deployment, kept over restarts and never given twice', async (t) => {
    const { fleet } = await setUp(t)
    const state = join(fleet.folder, 'state')
    await mkdir(state)
    const table = await identities(state)

    const given = await Promise.all(['a', 'b', 'a', 'c'].map((name) => table.get(name)))

    assert.deepEqual(
      given.map(({ uid }) => uid),
      [200_000, 200_001, 200_000, 200_002]
    )
    const again = await identities(state)
    assert.deepEqual(await again.get('b'), { uid: 200_001, gid: 200_001 })
    assert.deepEqual(await again.get('d'), { uid: 200_003, gid: 200_003 })
  })

  it('are never outside of the range that the machine gives to this server, since the next ones are another server’s', async (t) => {
    const { fleet } = await setUp(t)
    const state = join(fleet.folder, 'state')
    await mkdir(state)
    const table = await identities(state, { first: 300_000, count: 2 })

    assert.deepEqual(await table.get('a'), { uid: 300_000, gid: 300_000 })
    assert.deepEqual(await table.get('b'), { uid: 300_001, gid: 300_001 })
    await assert.rejects(table.get('c'), { code: 'no_identity_left' })
    assert.deepEqual(await table.get('a'), { uid: 300_000, gid: 300_000 })
  })
})

/** One raw tar entry, as no honest tool would write it. */
const entry = (header: ConstructorParameters<typeof Header>[0], content = ''): Buffer => {
  const block = Buffer.alloc(512)
  const made = new Header({ mode: 0o644, size: 0, ...(header as object) })
  made.encode(block)
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512)
  body.write(content)
  return Buffer.concat([block, body])
}
