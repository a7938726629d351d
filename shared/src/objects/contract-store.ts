import assert from 'node:assert/strict'
import { getBytes, getIfChanged } from './bytes.ts'
import type { ObjectsCase } from './contract-case.ts'
import { isObjectsError, type Objects, type ObjectsErrorCode } from './objects.ts'

const text = (content: string): Uint8Array => Buffer.from(content)

const read = async (objects: Objects, key: string): Promise<string | undefined> => (await getBytes(objects, key))?.toString()

const fails =
  (...codes: ObjectsErrorCode[]) =>
  (error: unknown): boolean =>
    codes.some((code) => isObjectsError(error, code))

const keysBelow = async (objects: Objects, prefix: string, limit: number): Promise<string[][]> => {
  const pages: string[][] = []
  let next: string | undefined
  do {
    const page = await objects.list(prefix, next === undefined ? { limit } : { limit, after: next })
    pages.push(page.objects.map(({ key }) => key.slice(prefix.length)))
    next = page.next
  } while (next !== undefined)
  return pages
}

const putAll = async (objects: Objects, keys: readonly string[]): Promise<void> => {
  for (const key of keys) await objects.put(key, text(key))
}

// More than one part of a multipart upload, in chunks that are not its parts.
const chunkBytes = 1024 * 1024 - 7
const chunks = 7
const largeStream = async function* (failAfter = chunks): AsyncGenerator<Uint8Array> {
  for (let number = 0; number < chunks; number++) {
    if (number === failAfter) throw new Error('the source broke')
    yield Buffer.alloc(chunkBytes, number)
  }
}

/** Storing, reading, comparing and swapping. */
export const storeCases = {
  'gives back exactly the bytes that were put, be they none': async ({ objects }, prefix) => {
    await objects.put(`${prefix}some`, text('some bytes'))
    await objects.put(`${prefix}none`, text(''), { contentType: 'text/plain' })

    assert.equal(await read(objects, `${prefix}some`), 'some bytes')
    assert.equal(await read(objects, `${prefix}none`), '')
  },

  'replaces an object as a whole, and gives another ETag to another content': async ({ objects }, prefix) => {
    const first = await objects.put(`${prefix}a`, text('a long first content'))
    const second = await objects.put(`${prefix}a`, text('second'))

    assert.equal(await read(objects, `${prefix}a`), 'second')
    assert.notEqual(first.etag, second.etag)
    assert.match(second.etag, /^".+"$/)
  },

  'tells size, ETag and time of an object without reading it, and that there is none': async ({ objects }, prefix) => {
    const { etag } = await objects.put(`${prefix}a`, text('12345'))

    const info = await objects.head(`${prefix}a`)

    assert.deepEqual({ ...info, lastModified: undefined }, { key: `${prefix}a`, size: 5, etag, lastModified: undefined })
    assert.ok(info && Math.abs(info.lastModified.getTime() - Date.now()) < 60_000)
    assert.equal(await objects.head(`${prefix}b`), undefined)
    assert.equal((await objects.get(`${prefix}b`)).kind, 'missing')
  },

  'reads a range, both ends included, and says how large the whole is': async ({ objects }, prefix) => {
    await objects.put(`${prefix}a`, text('0123456789'))

    assert.equal(String(await getBytes(objects, `${prefix}a`, { range: { start: 2, end: 4 } })), '234')
    assert.equal(String(await getBytes(objects, `${prefix}a`, { range: { start: 7 } })), '789')
    assert.equal(String(await getBytes(objects, `${prefix}a`, { range: { start: 8, end: 100 } })), '89')
    const ranged = await objects.get(`${prefix}a`, { range: { start: 0, end: 0 } })
    assert.ok(ranged.kind === 'found' && ranged.info.size === 10)
    ranged.body.destroy()
  },

  'refuses a range that begins behind the last byte': async ({ objects }, prefix) => {
    await objects.put(`${prefix}a`, text('0123456789'))

    await assert.rejects(objects.get(`${prefix}a`, { range: { start: 10 } }), fails('refused'))
  },

  'says not-modified to who holds the current ETag, and gives the bytes to who holds another': async ({ objects }, prefix) => {
    const { etag } = await objects.put(`${prefix}a`, text('one'))
    assert.equal((await getIfChanged(objects, `${prefix}a`, etag)).kind, 'not-modified')

    await objects.put(`${prefix}a`, text('two'))

    const changed = await getIfChanged(objects, `${prefix}a`, etag)
    assert.ok(changed.kind === 'found' && changed.bytes.toString() === 'two')
    assert.equal((await getIfChanged(objects, `${prefix}b`, etag)).kind, 'missing')
  },

  'makes a new object only where there is none': async ({ objects }, prefix) => {
    await objects.put(`${prefix}a`, text('first'), { condition: { ifNoneMatch: '*' } })

    await assert.rejects(
      objects.put(`${prefix}a`, text('second'), { condition: { ifNoneMatch: '*' } }),
      fails('precondition_failed')
    )
    assert.equal(await read(objects, `${prefix}a`), 'first')
  },

  'replaces exactly the object that was read, and none that is gone': async ({ objects }, prefix) => {
    const first = await objects.put(`${prefix}a`, text('1'))
    const second = await objects.put(`${prefix}a`, text('2'), { condition: { ifMatch: first.etag } })

    await assert.rejects(
      objects.put(`${prefix}a`, text('3'), { condition: { ifMatch: first.etag } }),
      fails('precondition_failed')
    )
    assert.equal(await read(objects, `${prefix}a`), '2')
    await objects.delete(`${prefix}a`)
    await assert.rejects(
      objects.put(`${prefix}a`, text('4'), { condition: { ifMatch: second.etag } }),
      fails('precondition_failed')
    )
    assert.equal(await read(objects, `${prefix}a`), undefined)
  },

  'lets exactly one of many racing creators win': async ({ objects }, prefix) => {
    const race = Array.from({ length: 8 }, (_, writer) =>
      objects.put(`${prefix}a`, text(String(writer)), { condition: { ifNoneMatch: '*' } })
    )

    const outcomes = await Promise.allSettled(race)

    assert.deepEqual(
      outcomes.flatMap(({ status }, writer) => (status === 'fulfilled' ? [String(writer)] : [])),
      [await read(objects, `${prefix}a`)]
    )
    for (const outcome of outcomes)
      assert.ok(outcome.status === 'fulfilled' || fails('precondition_failed', 'conflict')(outcome.reason))
  },

  'lets exactly one of many racing replacers of the same object win': async ({ objects }, prefix) => {
    const { etag } = await objects.put(`${prefix}a`, text('before'))
    const race = Array.from({ length: 8 }, (_, writer) =>
      objects.put(`${prefix}a`, text(String(writer)), { condition: { ifMatch: etag } })
    )

    const outcomes = await Promise.allSettled(race)

    assert.deepEqual(
      outcomes.flatMap(({ status }, writer) => (status === 'fulfilled' ? [String(writer)] : [])),
      [await read(objects, `${prefix}a`)]
    )
    for (const outcome of outcomes)
      assert.ok(outcome.status === 'fulfilled' || fails('precondition_failed', 'conflict')(outcome.reason))
  },

  "lists in the order of the keys' bytes, in pages, each object once": async ({ objects }, prefix) => {
    const keys = ['a', 'a/', 'a/b', 'a-b', 'a.b', 'a0', 'aB', 'a//c', 'b/c/d', 'b/c/e', 'é', '\u{1F600}', '\uFF5E', 'Z']
    await putAll(
      objects,
      keys.map((key) => prefix + key)
    )
    const ascending = keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

    for (const limit of [1, 3, 1000]) {
      const pages = await keysBelow(objects, prefix, limit)
      assert.deepEqual(pages.flat(), ascending)
      assert.ok(pages.every((page) => page.length <= limit))
    }
  },

  'lists from a prefix that ends within a segment, and goes on after a key that need not exist': async ({ objects }, prefix) => {
    await putAll(
      objects,
      ['ab', 'abc/1', 'abc/2', 'abd', 'b'].map((key) => prefix + key)
    )

    assert.deepEqual((await keysBelow(objects, `${prefix}ab`, 1000)).flat(), ['', 'c/1', 'c/2', 'd'])
    const page = await objects.list(prefix, { after: `${prefix}abc/1x` })
    assert.deepEqual(
      page.objects.map(({ key }) => key.slice(prefix.length)),
      ['abc/2', 'abd', 'b']
    )
    assert.deepEqual(await objects.list(`${prefix}none/`), { objects: [] })
  },

  'lists the same size and ETag as it tells of each object': async ({ objects }, prefix) => {
    const { etag } = await objects.put(`${prefix}a`, text('12345'))

    const [info] = (await objects.list(prefix)).objects

    assert.deepEqual([info?.size, info?.etag, info?.key], [5, etag, `${prefix}a`])
    assert.ok(info?.lastModified instanceof Date)
  },

  'deletes, also what is not there, and makes it anew afterwards': async ({ objects }, prefix) => {
    const { etag } = await objects.put(`${prefix}a`, text('old'))
    await objects.delete(`${prefix}a`)
    await objects.delete(`${prefix}a`)

    assert.equal(await objects.head(`${prefix}a`), undefined)
    assert.deepEqual((await objects.list(prefix)).objects, [])
    await objects.put(`${prefix}a`, text('new'), { condition: { ifNoneMatch: '*' } })
    assert.equal((await getIfChanged(objects, `${prefix}a`, etag)).kind, 'found')
  },

  'copies inside the store, between first segments too, and says when the source is missing': async ({ objects }, prefix) => {
    const target = `vault/${prefix}copy`
    await objects.put(`${prefix}a`, text('content'))

    const { etag } = await objects.copy(`${prefix}a`, target)

    assert.equal(await read(objects, target), 'content')
    assert.equal((await objects.head(target))?.etag, etag)
    await assert.rejects(objects.copy(`${prefix}none`, target), fails('missing'))
    assert.equal(await read(objects, target), 'content')
  },

  'keeps odd keys apart from each other': async ({ objects }, prefix) => {
    const long = 'x'.repeat(300)
    const keys = [
      'a b',
      'a+b',
      'a%20b',
      'a%2fb',
      'A',
      'a',
      'a@',
      'a~',
      '.tmp',
      '"\'<&>?#',
      'ä',
      'a\u0308',
      long,
      `${long}/y`,
      'a.'
    ]
    for (const key of keys) await objects.put(prefix + key, text(key))

    for (const key of keys) assert.equal(await read(objects, prefix + key), key)
    assert.equal((await keysBelow(objects, prefix, 1000)).flat().length, keys.length)
  },

  'keeps keys with dot segments and empty segments as they are': async ({ objects }, prefix) => {
    const keys = ['..', '../x', 'a/../b', './a', '.', 'a//b', 'a/', '/']
    for (const key of keys) await objects.put(prefix + key, text(key))

    for (const key of keys) assert.equal(await read(objects, prefix + key), key)
    assert.equal(await read(objects, `${prefix}b`), undefined)
  },

  'refuses what is not a key, and a list without a whole first segment': async ({ objects }) => {
    await assert.rejects(objects.put('', text('')), fails('refused'))
    await assert.rejects(objects.get(`fleets/${'x'.repeat(1024)}`), fails('refused'))
    await assert.rejects(objects.head('fleets/\ud800'), fails('refused'))
    await assert.rejects(objects.list(''), fails('refused'))
    await assert.rejects(objects.list('fleets'), fails('refused'))
    await assert.rejects(objects.list('fleets/', { limit: 0 }), fails('refused'))
  },

  'takes and gives a stream whose length nobody knows, under a condition': async ({ objects }, prefix) => {
    await objects.put(`${prefix}a`, largeStream(), { condition: { ifNoneMatch: '*' } })

    const found = await objects.get(`${prefix}a`)
    assert.ok(found.kind === 'found')
    const bytes: Buffer[] = []
    for await (const chunk of found.body) bytes.push(chunk)
    const whole = Buffer.concat(bytes)
    assert.equal(whole.length, chunks * chunkBytes)
    assert.deepEqual([whole[0], whole[chunkBytes], whole.at(-1)], [0, 1, chunks - 1])
    await assert.rejects(
      objects.put(`${prefix}a`, largeStream(), { condition: { ifNoneMatch: '*' } }),
      fails('precondition_failed')
    )
  },

  'stores nothing of a stream that breaks, and hands its error on': async ({ objects }, prefix) => {
    await assert.rejects(objects.put(`${prefix}a`, largeStream(6)), { message: 'the source broke' })
    await assert.rejects(objects.put(`${prefix}a`, largeStream(0)), { message: 'the source broke' })

    assert.equal(await objects.head(`${prefix}a`), undefined)
  },

  'keeps everything, ETags too, for who opens the store later': async ({ objects, reopen }, prefix) => {
    const { etag } = await objects.put(`${prefix}a`, text('kept'))

    const later = await reopen()

    assert.equal((await later.head(`${prefix}a`))?.etag, etag)
    await later.put(`${prefix}a`, text('changed'), { condition: { ifMatch: etag } })
    assert.equal(await read(objects, `${prefix}a`), 'changed')
  }
} satisfies Record<string, ObjectsCase>
