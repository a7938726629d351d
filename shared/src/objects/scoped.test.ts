import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Clock, systemClock } from '../clock.ts'
import { delayedObjects } from './delayed.ts'
import { createFolderStore, folderObjects } from './folder.ts'
import { isObjectsError, type Objects } from './objects.ts'
import { scopedObjects } from './scoped.ts'

const content = Buffer.from('x')
const isRefused = (error: unknown) => isObjectsError(error, 'refused')

describe('handles on an object store', () => {
  let root = ''
  let objects: Objects
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-scoped-'))
    await createFolderStore(root)
    const presign = { origin: () => 'http://127.0.0.1:1', secret: randomBytes(32), clock: systemClock }
    objects = await folderObjects({ root, presign })
    for (const key of ['fleets/f-1/head.json', 'fleets/f-2/head.json']) await objects.put(key, content)
  })
  after(() => rm(root, { recursive: true }))

  const server = () =>
    scopedObjects(objects, {
      read: ['fleets/f-1/'],
      write: ['observed/f-1/s-1.json', 'reports/f-1/s-1/'],
      delete: ['reports/f-1/s-1/']
    })

  it('do what their scope lists', async () => {
    const handle = server()

    assert.equal((await handle.get('fleets/f-1/head.json')).kind, 'found')
    assert.ok(await handle.head('fleets/f-1/head.json'))
    assert.equal((await handle.list('fleets/f-1/')).objects.length, 1)
    await handle.put('observed/f-1/s-1.json', content)
    await handle.copy('fleets/f-1/head.json', 'reports/f-1/s-1/copy')
    await handle.delete('reports/f-1/s-1/copy')
  })

  it('admit any one segment where their scope has a star, and never more or fewer', async () => {
    const handle = scopedObjects(objects, { read: ['fleets/*/head.json', 'observed/*/'] })

    assert.ok(await handle.head('fleets/f-2/head.json'))
    assert.equal(await handle.head('observed/f-1/s-1.json.not-there'), undefined)
    for (const key of [
      'fleets/head.json',
      'fleets/f-1/x/head.json',
      'fleets//head.json',
      'fleets/f-1/head.json.bak',
      'observed/f-1'
    ])
      await assert.rejects(handle.head(key), isRefused, key)
  })

  it('refuse everything else: other prefixes, names that only begin alike, other acts', async () => {
    const handle = server()

    await assert.rejects(handle.get('fleets/f-2/head.json'), isRefused)
    await assert.rejects(handle.head('fleets/f-10/head.json'), isRefused)
    await assert.rejects(handle.list('fleets/'), isRefused)
    await assert.rejects(handle.list('fleets/f-1'), isRefused)
    await assert.rejects(handle.put('fleets/f-1/head.json', content), isRefused)
    await assert.rejects(handle.put('observed/f-1/s-1.json.tmp', content), isRefused)
    await assert.rejects(handle.get('observed/f-1/s-1.json'), isRefused)
    await assert.rejects(handle.delete('observed/f-1/s-1.json'), isRefused)
    await assert.rejects(handle.copy('fleets/f-2/head.json', 'reports/f-1/s-1/copy'), isRefused)
    await assert.rejects(handle.copy('fleets/f-1/head.json', 'fleets/f-1/copy'), isRefused)
    await assert.rejects(handle.presignGet('fleets/f-1/head.json', { expiresInSeconds: 1 }), isRefused)
    assert.equal(await objects.head('fleets/f-1/copy'), undefined)
  })

  it('presign where they may, and only there', async () => {
    const handle = scopedObjects(objects, { presign: ['staging/'] })
    const options = { size: 1, sha256: '00'.repeat(32), expiresInSeconds: 60 }

    assert.ok((await handle.presignPut('staging/s/u/manifest', options)).url)
    assert.ok((await handle.presignGet('staging/s/u/manifest', options)).url)
    await assert.rejects(handle.presignPut('vault/s/a/p', options), isRefused)
    await assert.rejects(handle.get('staging/s/u/manifest'), isRefused)
  })

  it('wait before each call to the store when they are delayed, and answer the same', async () => {
    const waits: number[] = []
    const clock: Clock = { ...systemClock, wait: async (ms) => void waits.push(ms) }
    const late = delayedObjects(objects, 150, clock)

    await late.put('fleets/late', content)
    assert.equal((await late.get('fleets/late')).kind, 'found')
    assert.equal((await late.head('fleets/late'))?.size, 1)
    assert.equal((await late.list('fleets/late/')).objects.length, 0)
    await late.copy('fleets/late', 'fleets/later')
    await late.delete('fleets/late')
    await late.presignGet('fleets/later', { expiresInSeconds: 1 })

    assert.deepEqual(waits, [150, 150, 150, 150, 150, 150])
    assert.equal(await objects.head('fleets/late'), undefined)
  })
})
