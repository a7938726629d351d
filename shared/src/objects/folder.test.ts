import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { type Clock, systemClock } from '../clock.ts'
import { Refusal } from '../refusal.ts'
import { getBytes } from './bytes.ts'
import { createFolderStore, folderObjects } from './folder.ts'
import { objectPath } from './folder-names.ts'
import { sweepFolderStore } from './folder-sweep.ts'
import { isObjectsError, type Objects } from './objects.ts'

const isUnavailable = (error: unknown) => isObjectsError(error, 'unavailable')
const bytes = (content: string) => Buffer.from(content)

describe('a folder store', () => {
  let folder = ''
  let root = ''
  let objects: Objects
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-folder-'))
    root = join(folder, 'store')
    await createFolderStore(root)
    objects = await folderObjects({ root })
  })
  afterEach(() => rm(folder, { recursive: true }))

  const everyCall = (): Record<string, () => Promise<unknown>> => ({
    put: () => objects.put('fleets/a', bytes('x')),
    'put of a new object': () => objects.put('other/new', bytes('x'), { condition: { ifNoneMatch: '*' } }),
    'put in place of another': () => objects.put('fleets/a', bytes('x'), { condition: { ifMatch: '"x"' } }),
    get: () => objects.get('fleets/a'),
    'get of what was never there': () => objects.get('fleets/none'),
    head: () => objects.head('fleets/a'),
    list: () => objects.list('fleets/'),
    delete: () => objects.delete('fleets/a'),
    copy: () => objects.copy('fleets/a', 'fleets/b')
  })

  it('is made once and stays as it is when it is made again', async () => {
    await objects.put('fleets/a', bytes('kept'))

    await createFolderStore(root)

    assert.equal(String(await getBytes(objects, 'fleets/a')), 'kept')
  })

  it('is unavailable while its folder is away, is not made anew, and is whole when the folder is back', async () => {
    await objects.put('fleets/a', bytes('kept'))
    await rename(root, `${root}-away`)

    for (const [name, call] of Object.entries(everyCall())) await assert.rejects(call(), isUnavailable, name)
    assert.deepEqual(await readdir(folder), ['store-away'])
    const whileAway = await folderObjects({ root })
    await assert.rejects(whileAway.get('fleets/a'), isUnavailable)

    await rename(`${root}-away`, root)
    assert.equal(String(await getBytes(objects, 'fleets/a')), 'kept')
    assert.equal(String(await getBytes(whileAway, 'fleets/a')), 'kept')
  })

  it('is unavailable when an empty folder is in its place, and puts nothing there', async () => {
    await objects.put('fleets/a', bytes('kept'))
    await rename(root, `${root}-away`)
    await mkdir(root)

    for (const [name, call] of Object.entries(everyCall())) await assert.rejects(call(), isUnavailable, name)
    assert.deepEqual(await readdir(root), [])
  })

  it('never says that an object is missing while its folder comes and goes', async () => {
    await objects.put('fleets/a', bytes('kept'))
    const read = async (): Promise<string> => {
      try {
        return String(await getBytes(objects, 'fleets/a'))
      } catch (error) {
        assert.ok(isUnavailable(error))
        return 'unavailable'
      }
    }
    let ended = false
    const comesAndGoes = (async () => {
      while (!ended) {
        await rename(root, `${root}-away`)
        await rename(`${root}-away`, root)
      }
    })()

    const seen = new Set<string>()
    for (let times = 0; times < 300; times++) seen.add(await read())
    ended = true
    await comesAndGoes

    assert.ok(
      [...seen].every((answer) => answer === 'kept' || answer === 'unavailable'),
      [...seen].join()
    )
  })

  it('leaves nothing behind of a write for which there is no room', async () => {
    const program = `
      import { folderObjects } from '${join(import.meta.dirname, 'folder.ts')}'
      import { readdir } from 'node:fs/promises'
      const root = process.argv[1]
      const objects = await folderObjects({ root })
      const outcome = await objects.put('fleets/a', Buffer.alloc(4 * 1024 * 1024)).then(() => 'stored', (error) => error.code)
      console.log(outcome, await objects.head('fleets/a'), (await readdir(root + '/.tmp')).length)`
    // A limit on the size of files fails a write in its middle just as a full disk does.
    const command = `trap '' XFSZ; ulimit -f 128; exec "$0" --input-type=module -e "$1" "$2"`

    const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, program, root])

    assert.equal(stdout.trim(), 'unavailable undefined 0')
  })

  it('sweeps away what killed processes left long ago, when it is opened, and nothing younger', async () => {
    const [old, young] = [join(root, '.tmp', 'old'), join(root, '.tmp', 'young')]
    for (const path of [old, young]) await writeFile(path, 'part of a version')
    const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000)
    await utimes(old, longAgo, longAgo)

    await folderObjects({ root })

    assert.deepEqual(await readdir(join(root, '.tmp')), ['young'])
  })

  it('says that a stored version is damaged rather than giving it out', async () => {
    await objects.put('fleets/a', bytes('content'))
    const path = objectPath(root, 'fleets/a')
    const [name = ''] = await readdir(path)
    await writeFile(join(path, name), 'not a version')

    await assert.rejects(objects.get('fleets/a'), isUnavailable)
  })

  it('lets only its owner in', async () => {
    await objects.put('fleets/a', bytes('x'))

    for (const path of [root, join(root, '.tmp'), join(root, 'fleets'), objectPath(root, 'fleets/a')])
      assert.equal((await stat(path)).mode & 0o077, 0, path)
  })

  it('signs no URLs unless it was given a secret', async () => {
    await assert.rejects(objects.presignGet('fleets/a', { expiresInSeconds: 1 }), (error) => isObjectsError(error, 'refused'))
  })

  it('keeps any keys apart, inside its folder, and lists them in order from anywhere', async () => {
    const special = [
      '.',
      '..',
      '',
      '@',
      '~',
      '%',
      'a@',
      'a~',
      '.tmp',
      'x'.repeat(79),
      'x'.repeat(80),
      'x'.repeat(81),
      'x'.repeat(160)
    ]
    const segment = fc.oneof(
      fc.constantFrom(...special),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
      fc.constantFrom('a', 'A', 'ab')
    )
    const keys = fc.uniqueArray(
      fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/')),
      { minLength: 1, maxLength: 12 }
    )
    let run = 0

    await fc.assert(
      fc.asyncProperty(keys, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 4 }), async (ends, at, cut, limit) => {
        const begin = `fleets/${run++}/`
        const all = ends.map((end) => begin + end).filter((key) => Buffer.byteLength(key) <= 1024)
        for (const key of all) await objects.put(key, bytes(key))
        const chosen = all[at % all.length] ?? begin
        const prefix = chosen.slice(0, begin.length + (cut % (chosen.length - begin.length + 1)))
        fc.pre(prefix.isWellFormed())

        for (const key of all) assert.equal(String(await getBytes(objects, key)), key)
        const expected = all
          .filter((key) => key.startsWith(prefix))
          .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        const listed: string[] = []
        let next: string | undefined
        do {
          const page = await objects.list(prefix, next === undefined ? { limit } : { limit, after: next })
          listed.push(...page.objects.map((info) => info.key))
          next = page.next
        } while (next !== undefined)
        assert.deepEqual(listed, expected)
        const rest = (await objects.list(prefix, { after: chosen })).objects.map((info) => info.key)
        assert.deepEqual(rest, expected.slice(expected.indexOf(chosen) + 1))
      }),
      { numRuns: 40 }
    )
    assert.deepEqual((await readdir(root)).sort(), ['.berth-objects', '.tmp', 'fleets'])
    assert.deepEqual(await readdir(folder), ['store'])
  })
})

describe('sweeping a folder store', () => {
  let root = ''
  let passedMs = 0
  const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + passedMs) }
  const sweep = () => sweepFolderStore(root, { olderThanMs: 3_600_000, clock })
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-sweep-'))
    await createFolderStore(root)
    passedMs = 0
  })
  afterEach(() => rm(root, { recursive: true }))

  const exists = (path: string) =>
    access(path).then(
      () => true,
      () => false
    )

  it('removes what was deleted long enough ago, with the folders that held nothing else, and keeps the rest', async () => {
    const objects = await folderObjects({ root, clock })
    for (const key of ['staging/s/gone', 'fleets/kept', 'fleets/gone']) await objects.put(key, bytes(key))
    await objects.delete('staging/s/gone')
    await objects.delete('fleets/gone')
    await sweep()
    assert.ok(await exists(objectPath(root, 'fleets/gone')))
    passedMs += 3_600_001

    await sweep()

    assert.equal(await exists(objectPath(root, 'fleets/gone')), false)
    assert.equal(await exists(join(root, 'staging')), false)
    assert.equal(String(await getBytes(objects, 'fleets/kept')), 'fleets/kept')
  })

  it('gives an object that is made anew another ETag than it ever had', async () => {
    const objects = await folderObjects({ root, clock })
    const before = await objects.put('fleets/a', bytes('same'))
    await objects.delete('fleets/a')
    passedMs += 3_600_001
    await sweep()

    const after = await objects.put('fleets/a', bytes('same'), { condition: { ifNoneMatch: '*' } })

    assert.notEqual(after.etag, before.etag)
  })

  it('frees the bytes that a killed writer left in a superseded version', async () => {
    const killed = new Error('killed here')
    const pause = async (point: string) => {
      if (point === 'checked') throw killed
    }
    const objects = await folderObjects({ root, clock })
    await objects.put('fleets/a', Buffer.alloc(10_000))
    const dying = await folderObjects({ root, clock }, { pause })
    await assert.rejects(dying.put('fleets/a', bytes('newer')), killed)

    await sweep()

    const path = objectPath(root, 'fleets/a')
    const sizes = await Promise.all((await readdir(path)).map(async (name) => (await stat(join(path, name))).size))
    assert.ok(sizes.every((size) => size < 10_000))
    assert.equal(String(await getBytes(objects, 'fleets/a')), 'newer')
  })

  it('refuses to sweep what was deleted only a moment ago', async () => {
    await assert.rejects(sweepFolderStore(root, { olderThanMs: 0, clock }), Refusal)
  })

  it('tells that the store is not there', async () => {
    await assert.rejects(sweepFolderStore(join(root, 'nowhere'), { olderThanMs: 3_600_000, clock }), isUnavailable)
  })
})
