import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { getBytes } from './bytes.ts'
import type { ObjectsCase } from './contract-case.ts'
import { isObjectsError, type Objects, type PresignedPut } from './objects.ts'

const content = Buffer.from('what a client without any credential puts')
const other = Buffer.from('WHAT a client without any credential puts')

const sha256 = createHash('sha256').update(content).digest('hex')

const presign = (objects: Objects, key: string): Promise<PresignedPut> =>
  objects.presignPut(key, { size: content.length, sha256, expiresInSeconds: 60 })

const send = (
  method: string,
  url: string,
  headers: Readonly<Record<string, string>> = {},
  body?: Uint8Array
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }> =>
  new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, agent: false }, (incoming) => {
      buffer(incoming).then(
        (bytes) => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: bytes }),
        reject
      )
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })

const put = async ({ method, url, headers }: PresignedPut, body: Uint8Array = content): Promise<number> =>
  (await send(method, url, headers, body)).status

const isRefusal = (status: number): boolean => status === 400 || status === 403

/** What somebody without a credential may do with a URL, and what not. */
export const presignCases = {
  'lets who holds a presigned URL put that object once': async ({ objects }, prefix) => {
    const signed = await presign(objects, `${prefix}a b+%é`)

    assert.equal(await put(signed), 200)
    assert.equal(await put(signed), 412)
    assert.deepEqual(await getBytes(objects, `${prefix}a b+%é`), content)
  },

  'lets who holds a presigned URL get that object, in parts too': async ({ objects }, prefix) => {
    await objects.put(`${prefix}a b+%é`, content)
    const { url } = await objects.presignGet(`${prefix}a b+%é`, { expiresInSeconds: 60 })

    const whole = await send('GET', url)
    const part = await send('GET', url, { range: 'bytes=5-10' })

    assert.deepEqual([whole.status, whole.body.equals(content)], [200, true])
    assert.deepEqual([part.status, part.body.toString()], [206, 'a clie'])
    assert.equal(part.headers['content-range'], `bytes 5-10/${content.length}`)
  },

  'answers a presigned GET of a missing object with a refusal, which on S3 depends on who signed': async (
    { objects },
    prefix
  ) => {
    const { url } = await objects.presignGet(`${prefix}none`, { expiresInSeconds: 60 })

    assert.ok([403, 404].includes((await send('GET', url)).status))
  },

  'refuses bytes that do not have the signed checksum, and stores nothing': async ({ objects }, prefix) => {
    const signed = await presign(objects, `${prefix}a`)

    assert.equal(await put(signed, other), 400)
    assert.equal(await objects.head(`${prefix}a`), undefined)
  },

  'refuses a presigned PUT whose signed headers are others or missing': async ({ objects }, prefix) => {
    const signed = await presign(objects, `${prefix}a`)
    const { 'if-none-match': _, ...unconditional } = signed.headers
    const checksum = createHash('sha256').update(other).digest('base64')
    const longer = Buffer.concat([content, content])

    assert.ok(isRefusal(await put({ ...signed, headers: unconditional })))
    assert.ok(isRefusal(await put({ ...signed, headers: { ...signed.headers, 'x-amz-checksum-sha256': checksum } }, other)))
    assert.ok(
      isRefusal(await put({ ...signed, headers: { ...signed.headers, 'content-length': String(longer.length) } }, longer))
    )
    assert.equal(await objects.head(`${prefix}a`), undefined)
  },

  'refuses a presigned URL for any other key or method': async ({ objects }, prefix) => {
    await objects.put(`${prefix}key-2`, content)
    const signedPut = await presign(objects, `${prefix}key-1`)
    const signedGet = await objects.presignGet(`${prefix}key-1`, { expiresInSeconds: 60 })

    assert.ok(isRefusal(await put({ ...signedPut, url: signedPut.url.replace('key-1', 'key-3') })))
    assert.ok(isRefusal((await send('GET', signedGet.url.replace('key-1', 'key-2'))).status))
    assert.ok(isRefusal((await send('PUT', signedGet.url, signedPut.headers, content)).status))
    assert.equal(await objects.head(`${prefix}key-3`), undefined)
  },

  'refuses a presigned URL after it expired': async ({ objects, passSeconds }, prefix) => {
    await objects.put(`${prefix}a`, content)
    const signedPut = await presign(objects, `${prefix}b`)
    const signedGet = await objects.presignGet(`${prefix}a`, { expiresInSeconds: 60 })
    passSeconds(61)

    assert.equal(await put(signedPut), 403)
    assert.equal((await send('GET', signedGet.url)).status, 403)
    assert.equal(await objects.head(`${prefix}b`), undefined)
  },

  'signs nothing that S3 could not carry out': async ({ objects }, prefix) => {
    const signs = { size: 1, sha256, expiresInSeconds: 60 }
    const refused = (error: unknown) => isObjectsError(error, 'refused')

    await assert.rejects(objects.presignPut(`${prefix}a`, { ...signs, size: -1 }), refused)
    await assert.rejects(objects.presignPut(`${prefix}a`, { ...signs, sha256: 'abc' }), refused)
    await assert.rejects(objects.presignPut(`${prefix}a`, { ...signs, expiresInSeconds: 604_801 }), refused)
    await assert.rejects(objects.presignGet(`${prefix}a`, { expiresInSeconds: 0 }), refused)
    await assert.rejects(objects.presignGet('', { expiresInSeconds: 60 }), refused)
  }
} satisfies Record<string, ObjectsCase>
