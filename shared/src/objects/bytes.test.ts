import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { Refusal } from '../refusal.ts'
import { getBytes, getIfChanged } from './bytes.ts'
import { isObjectsError, type Objects } from './objects.ts'

const never = () => Promise.reject(new Error('nobody asks for this here'))

/** A store whose one object says that it has `size` bytes, and sends `body`. */
const storeOf = (size: number, body: Readable): Objects => ({
  put: never,
  head: never,
  list: never,
  delete: never,
  copy: never,
  presignPut: never,
  presignGet: never,
  get: async (key) => ({ kind: 'found', info: { key, size, etag: '"1"', lastModified: new Date(0) }, body })
})

describe('reading a whole object', () => {
  it('refuses more bytes than the reader accepts, before any are read', async () => {
    const body = Readable.from([Buffer.alloc(11)])

    await assert.rejects(
      getBytes(storeOf(11, body), 'a', { bytesMax: 10 }),
      (error) => error instanceof Refusal && error.code === 'too_large'
    )

    assert.equal(body.destroyed, true)
  })

  it('holds a range to the bound by its own length', async () => {
    const range = { start: 5, end: 9 }

    assert.equal((await getBytes(storeOf(100, Readable.from([Buffer.alloc(5)])), 'a', { bytesMax: 5, range }))?.length, 5)
  })

  it('never takes a body that ended early for the object', async () => {
    const isUnavailable = (error: unknown) => isObjectsError(error, 'unavailable')

    await assert.rejects(getBytes(storeOf(10, Readable.from([Buffer.alloc(9)])), 'a'), isUnavailable)
    await assert.rejects(getIfChanged(storeOf(10, Readable.from([Buffer.alloc(9)])), 'a'), isUnavailable)
  })

  it('tells a connection that broke as the store being unavailable', async () => {
    const broken = new Readable({ read: () => broken.destroy(new Error('socket hang up')) })

    await assert.rejects(getBytes(storeOf(10, broken), 'a'), (error) => isObjectsError(error, 'unavailable'))
  })
})
