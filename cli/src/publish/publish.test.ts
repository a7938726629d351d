import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { subscriptionClient } from '../client.ts'
import { type CommandLine, commandLine, hastyClock } from '../testing/command-line.ts'
import type { FakeRequest } from '../testing/fake-routes.ts'
import { transport } from '../transport.ts'
import { type PublishContext, publishFolder, readFolder } from './publish.ts'

const isPut = ({ method }: FakeRequest) => method === 'PUT'
const isPack = (request: FakeRequest) => isPut(request) && request.path.includes('/packs/')

describe('publishing a folder', () => {
  let line: CommandLine
  let context: PublishContext
  let application = ''
  let uploadsBefore = 0
  before(async () => {
    line = await commandLine()
  })
  after(() => line.close())
  beforeEach(async () => {
    const { api } = line
    const send = transport({ api: api.url, token: api.token(), version: '0.1.0', clock: hastyClock })
    const client = subscriptionClient(send, api.subscription.id)
    context = { client, clock: hastyClock, progress: { show: () => undefined, clear: () => undefined } }
    application = (await client.createApplication({ name: `app-${api.deployments.applications.length}` })).id
    api.faults.length = 0
    api.requests.length = 0
    uploadsBefore = api.uploads.all.size
  })

  const publish = async (folder: string) => publishFolder(context, { folder: await readFolder(folder, context), application })
  const opened = (version: number) => line.api.uploads.opened.get(`${application}/${version}`)
  const site = (name: string) =>
    line.files(name, { 'index.html': '<h1>a page with words</h1>', 'css/a.css': 'body {}', empty: '' })

  it('sends every byte, and the platform opens exactly the files with the upload’s key', async () => {
    const large = randomBytes(9 * 1024 * 1024)
    const folder = await line.files('whole', {
      'index.html': '<h1>a page with words</h1>',
      'copy/index.html': '<h1>a page with words</h1>',
      'large.bin': large,
      'empty.txt': '',
      'naïve/file name.txt': 'x'
    })

    const { version } = await publish(folder)

    const files = opened(version)
    assert.deepEqual(
      [...(files?.keys() ?? [])],
      ['copy/index.html', 'empty.txt', 'index.html', 'large.bin', 'naïve/file name.txt']
    )
    assert.ok(files?.get('large.bin')?.equals(large))
    assert.equal(files?.get('index.html')?.toString(), '<h1>a page with words</h1>')
    assert.equal(files?.get('empty.txt')?.length, 0)
  })

  it('lets nothing readable leave the machine: no content, no file name', async () => {
    await publish(await site('readable'))

    const sent = Buffer.concat(line.api.requests.map(({ path, body }) => Buffer.concat([Buffer.from(path), body])))
    for (const word of ['a page with words', 'index.html', 'a.css']) assert.equal(sent.includes(word), false, word)
  })

  it('sends presigned requests with the signed headers and never the token', async () => {
    await publish(await site('headers'))

    const puts = line.api.requests.filter(isPut)
    assert.equal(puts.length, 2)
    for (const { headers } of puts)
      assert.deepEqual(Object.keys(headers).sort(), [
        'connection',
        'content-length',
        'host',
        'if-none-match',
        'x-amz-checksum-sha256'
      ])
  })

  it('seals a piece once, however many files hold it', async () => {
    const same = randomBytes(1_000_000)
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`${index}.bin`, same]))

    await publish(await line.files('same', files))

    const bytes = line.api.requests.filter(isPack).reduce((sum, { body }) => sum + body.length, 0)
    assert.ok(bytes > 1_000_000 && bytes < 1_100_000, `${bytes} bytes were sent`)
  })

  it('cuts a larger folder into packs of at most 16 MiB of entries', async () => {
    const files = Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`${index}.bin`, randomBytes(5_000_000)]))

    const { version } = await publish(await line.files('packs', files))

    assert.equal(opened(version)?.size, 5)
    const packs = line.api.requests.filter(isPack)
    assert.equal(packs.length, 2)
    for (const { body } of packs) assert.ok(body.length < 17 * 1024 * 1024)
  })

  it('takes a pack that is there already after a lost answer as sent', async () => {
    line.api.faults.push({ when: isPack, what: 'lost-answer' })

    const { version } = await publish(await site('lost'))

    assert.equal(opened(version)?.size, 3)
    assert.equal(line.api.requests.filter(isPack).length, 2)
  })

  it('gets over cut connections, 5xx and expired addresses of the store, with a fresh address each time', async () => {
    for (const what of ['reset', 503, 500, 403, 409] as const) line.api.faults.push({ when: isPack, what })

    const { version } = await publish(await site('rough'))

    assert.equal(opened(version)?.size, 3)
    const addresses = line.api.requests.filter(isPack).map(({ path }) => path)
    assert.equal(addresses.length, 6)
    assert.equal(new Set(addresses).size, 6)
  })

  it('gives up after some tries, or at once where trying again cannot help, and no version is made', async () => {
    line.api.faults.push(...Array.from({ length: 10 }, () => ({ when: isPack, what: 500 })))
    await assert.rejects(publish(await site('down')), { code: 'upload_failed', message: /HTTP 500; no version was made/ })

    line.api.faults.length = 0
    line.api.requests.length = 0
    line.api.faults.push({ when: isPack, what: 400 })
    await assert.rejects(publish(await site('down')), { code: 'upload_failed' })
    assert.equal(line.api.requests.filter(isPack).length, 1)

    line.api.faults.push({ when: isPack, what: 412 })
    await assert.rejects(publish(await site('down')), { code: 'upload_failed', message: /412/ })
    assert.equal(opened(1), undefined)
  })

  it('repeats a mutation whose answer was lost with the same idempotency key, and another mutation with another', async () => {
    const finishes = ({ path }: FakeRequest) => path.endsWith('/finish')
    line.api.faults.push({ when: finishes, what: 'lost-answer' })

    await publish(await site('keys'))

    const keys = line.api.requests.filter(finishes).map(({ headers }) => headers['idempotency-key'])
    assert.equal(keys.length, 2)
    assert.equal(keys[0], keys[1])
    const posts = line.api.requests.filter(({ method }) => method === 'POST')
    assert.equal(new Set(posts.map(({ headers }) => headers['idempotency-key'])).size, posts.length - 1)
  })

  it('begins another upload when the answer that held the key was lost', async () => {
    line.api.faults.push({ when: ({ path }) => path.endsWith('/uploads'), what: 'lost-answer' })

    const { version } = await publish(await site('no-key'))

    assert.equal(opened(version)?.size, 3)
    assert.equal(line.api.uploads.all.size - uploadsBefore, 2)
  })

  it('refuses a file that changes between hashing and sending, and finishes nothing', async () => {
    const root = await line.files('moving', { 'a.txt': 'one', 'b.txt': 'two' })
    const folder = await readFolder(root, context)
    await writeFile(join(root, 'b.txt'), 'TWO')

    await assert.rejects(publishFolder(context, { folder, application }), { code: 'file_changed', message: /b\.txt/ })

    assert.equal(line.api.requests.filter(({ path }) => path.endsWith('/finish')).length, 0)
  })

  it('passes on why the platform refused', async () => {
    line.api.uploads.next.refusal = { code: 'bad_pack', message: 'pack 1 is cut short' }
    try {
      await assert.rejects(publish(await site('refused')), {
        code: 'bad_pack',
        message: /pack 1 is cut short; no version was made/
      })
    } finally {
      delete line.api.uploads.next.refusal
    }
  })

  it('is refused by the API’s limits before anything is sent', async () => {
    const files = Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`${index}.txt`, 'x']))

    await assert.rejects(publish(await line.files('limits', files)), { code: 'too_many_files' })

    assert.equal(line.api.requests.filter(isPut).length, 0)
  })
})
