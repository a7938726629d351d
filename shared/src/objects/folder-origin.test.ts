import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { systemClock } from '../clock.ts'
import { eventually } from '../testing/eventually.ts'
import { createFolderStore, folderObjects } from './folder.ts'
import { type FolderOrigin, serveFolderOrigin } from './folder-origin.ts'
import type { Objects } from './objects.ts'

const key = 'staging/s/u/packs/p'
const content = Buffer.from('0123456789')
const sha256 = createHash('sha256').update(content).digest('hex')

describe("the origin of a folder store's presigned URLs", () => {
  let root = ''
  let objects: Objects
  let origin: FolderOrigin
  let failures: unknown[] = []
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-origin-'))
    await createFolderStore(root)
    const secret = randomBytes(32)
    failures = []
    objects = await folderObjects({ root, presign: { origin: () => origin.url, secret, clock: systemClock } })
    const onFailure = (error: unknown) => failures.push(error)
    origin = await serveFolderOrigin({ objects, secret, host: '127.0.0.1', port: 0, clock: systemClock, onFailure })
  })
  afterEach(async () => {
    await origin.close()
    await rm(root, { recursive: true, force: true })
  })

  const presignGet = async () => (await objects.presignGet(key, { expiresInSeconds: 60 })).url
  const presignPut = (size = content.length) => objects.presignPut(key, { size, sha256, expiresInSeconds: 60 })

  it('answers everything stored as a download that no browser acts upon', async () => {
    await objects.put(key, Buffer.from('<script>alert(1)</script>'))

    const { status, headers } = await fetch(await presignGet())

    assert.equal(status, 200)
    assert.equal(headers.get('content-disposition'), 'attachment')
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('content-type'), 'application/octet-stream')
  })

  it('answers ranges from the start, to the end and behind it, and an unchanged object without its bytes', async () => {
    const { etag } = await objects.put(key, content)
    const url = await presignGet()
    const get = async (headers: Record<string, string>) => {
      const answer = await fetch(url, { headers })
      return [answer.status, answer.headers.get('content-range'), await answer.text()]
    }

    assert.deepEqual(await get({ range: 'bytes=0-3' }), [206, 'bytes 0-3/10', '0123'])
    assert.deepEqual(await get({ range: 'bytes=7-' }), [206, 'bytes 7-9/10', '789'])
    assert.deepEqual(await get({ range: 'bytes=-2' }), [206, 'bytes 8-9/10', '89'])
    assert.deepEqual(await get({ range: 'bytes=2-100' }), [206, 'bytes 2-9/10', '23456789'])
    assert.deepEqual(await get({ range: 'lines=1-2' }), [200, null, '0123456789'])
    assert.equal((await get({ range: 'bytes=10-' }))[0], 416)
    assert.deepEqual(await get({ 'if-none-match': etag }), [304, null, ''])
  })

  it('answers errors as small JSON with a code', async () => {
    const missing = await fetch(await presignGet())
    const strange = await fetch(`${origin.url}/anything`)
    const posted = await fetch(await presignGet(), { method: 'POST', body: 'x' })

    assert.deepEqual([missing.status, await missing.json()], [404, { code: 'missing', message: 'there is no such object' }])
    assert.equal(strange.status, 400)
    assert.equal(posted.status, 405)
    assert.deepEqual(failures, [])
  })

  it('stores nothing of an upload that breaks off, or that comes without its signed length', async () => {
    const { url, headers } = await presignPut()
    const broken = request(url, { method: 'PUT', headers, agent: false })
    broken.on('error', () => undefined)
    broken.write(content.subarray(0, 5))
    await eventually(async () => (await readdir(join(root, '.tmp'))).length === 1)
    broken.destroy()
    await eventually(async () => (await readdir(join(root, '.tmp'))).length === 0)

    const { 'content-length': _, ...chunked } = headers
    const body = new ReadableStream({
      start: (controller) => {
        controller.enqueue(content)
        controller.close()
      }
    })
    const answer = await fetch(url, { method: 'PUT', headers: chunked, body, duplex: 'half' })

    assert.equal(answer.status, 403)
    assert.equal(await objects.head(key), undefined)
  })

  it('says that the store is unavailable without telling callers why', async () => {
    const put = await presignPut()
    await rm(root, { recursive: true })

    const answer = await fetch(put.url, { method: 'PUT', headers: put.headers, body: content })

    assert.equal(answer.status, 503)
    assert.ok(!(await answer.text()).includes(root))
    assert.equal(failures.length, 1)
  })
})
