import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { eq, sql } from 'drizzle-orm'
import { applications } from '../applications/schema.ts'
import { type Answer, testApi } from '../testing/api.ts'
import { putBuild, putDeployment, putVersion } from '../testing/scene.ts'
import { uploads } from './schema.ts'

const { owner, ours } = await testApi({
  env: { BERTH_UPLOAD_FILES_MAX: '10', BERTH_UPLOAD_BYTES_MAX: '1000', BERTH_UPLOADS_OPEN_MAX: '20' }
})
await putBuild(owner, 'static', '1.0.0')
const { application, deployment } = await putDeployment(ours, 'shop')
const other = await putDeployment(ours, 'other')
const open = (body: object = {}) =>
  ours.send('POST', `${ours.below}/applications/${application}/uploads`, { files: 3, bytes: 100, ...body })
const at = (id: string) => `${ours.below}/uploads/${id}`
const pack = (letter: string, size = 100) => ({ pack: letter.repeat(32), size, sha256: letter.repeat(64) })
const opened = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 201).map(({ body }) => body.id)
const manifest = 'c'.repeat(64)

describe('opening an upload', () => {
  it('hands out a key of its own, of which only the wrapped form is kept', async () => {
    const [one, two] = [await open(), await open()]

    assert.equal(one.status, 201)
    assert.notEqual(one.body.key, two.body.key)
    assert.deepEqual(one.body.limits, { filesMax: 10, bytesMax: 1000, packBytesMax: one.body.limits.packBytesMax })
    const [row] = await owner.select().from(uploads).where(eq(uploads.id, one.body.id))
    assert.ok(row && !row.wrappedKey.includes(Buffer.from(one.body.key, 'base64')))
    assert.equal(row.createdBy, ours.user)
  })

  it('refuses more than may be published, by the field', async () => {
    for (const [body, field] of [
      [{ files: 11 }, '/files'],
      [{ bytes: 1001 }, '/bytes']
    ] as const) {
      const refused = await open(body)
      assert.equal(refused.status, 413)
      assert.equal(refused.body.field, field)
    }
    assert.equal((await open({ files: 0 })).status, 400)
  })

  it('refuses to deploy where it could not', async () => {
    const elsewhere = await open({ deploy: { deployment: other.deployment } })
    const noBuild = await open({ deploy: { deployment, build: { name: 'static', version: '9.9.9' } } })

    assert.equal(elsewhere.body.code, 'invalid')
    assert.equal(elsewhere.body.field, '/deploy/deployment')
    assert.equal(noBuild.status, 404)
    assert.equal(noBuild.body.field, '/deploy/build')
    assert.equal((await open({ deploy: { deployment } })).status, 201)
  })

  it('refuses another one while as many of the subscription as may be are under way', async () => {
    await owner.update(uploads).set({ expiresAt: sql`now() - interval '1 second'` })
    await owner.update(uploads).set({ state: 'refused' }).where(eq(uploads.state, 'finishing'))

    const answers = await Promise.all(Array.from({ length: 22 }, () => open()))
    await owner
      .update(uploads)
      .set({ expiresAt: sql`now() - interval '1 second'` })
      .where(eq(uploads.id, opened(answers)[0]))

    assert.equal(opened(answers).length, 20)
    assert.ok(answers.every(({ status, body }) => status === 201 || body.code === 'too_many_uploads'))
    assert.equal((await open()).status, 201, 'one that has expired makes room')
    await owner.update(uploads).set({ expiresAt: sql`now() - interval '1 second'` })
  })

  it('refuses for an application that is disabled', async () => {
    await owner.update(applications).set({ status: 'disabled' }).where(eq(applications.id, other.application))

    const refused = await ours.send('POST', `${ours.below}/applications/${other.application}/uploads`, { files: 1, bytes: 1 })

    assert.equal(refused.body.code, 'disabled')
  })
})

describe('sending packs', () => {
  it('gives a URL for each pack and for the manifest, signed for their very bytes', async () => {
    const { id } = (await open()).body

    const { status, body } = await ours.send('POST', `${at(id)}/packs`, {
      packs: [pack('a'), pack('b')],
      manifest: { size: 10, sha256: manifest }
    })

    assert.equal(status, 200)
    assert.deepEqual(
      body.packs.map((row: { pack: string }) => row.pack),
      ['a'.repeat(32), 'b'.repeat(32)]
    )
    const headers = Object.fromEntries(Object.entries(body.packs[0].headers).map(([name, value]) => [name.toLowerCase(), value]))
    assert.equal(headers['if-none-match'], '*')
    assert.equal(headers['x-amz-checksum-sha256'], Buffer.from('a'.repeat(64), 'hex').toString('base64'))
    assert.match(decodeURIComponent(body.manifest.url), new RegExp(`staging/${ours.subscription}/${id}/manifest`))
  })

  it('refuses packs that are too large or named twice', async () => {
    const { id, limits } = (await open()).body
    for (const [packs, field] of [
      [[pack('a', limits.packBytesMax + 1)], '/packs/0/size'],
      [[pack('a'), pack('a')], '/packs/1/pack'],
      [[{ ...pack('a'), size: 0 }], '/packs/0/size'],
      [[{ ...pack('a'), pack: '../x' }], '/packs/0/pack']
    ] as const)
      assert.equal((await ours.send('POST', `${at(id)}/packs`, { packs })).body.field, field)
  })

  it('gives no URLs for more than was declared, however many requests it is spread over', async () => {
    const { id, limits } = (await open()).body
    const size = limits.packBytesMax
    const ask = (letter: string, bytes = size) => ours.send('POST', `${at(id)}/packs`, { packs: [pack(letter, bytes)] })
    const fit = Math.floor((64 * 1024 * 1024 + 100) / size)
    const letters = [...'0123456789abcdef'].slice(0, fit)

    for (const letter of letters) assert.equal((await ask(letter)).status, 200)
    const more = await ask('f')
    const again = await ask('0')
    const smaller = await ask('0', 1)

    assert.ok(fit > 1 && fit < 16)
    assert.deepEqual([more.status, more.body.code, more.body.field], [413, 'too_large', '/packs'])
    assert.deepEqual([again.status, smaller.status], [200, 200])
    assert.equal((await ask('f')).status, 413, 'a pack that is asked for again in small makes no room')
    const finished = await ours.send('POST', `${at(id)}/finish`, { manifest, packs: [...letters, 'f'].map((l) => pack(l, size)) })
    assert.equal(finished.body.code, 'too_large')
  })

  it('ends when the upload expires', async () => {
    const { id } = (await open()).body
    await owner.update(uploads).set({ expiresAt: sql`now() - interval '1 second'` }).where(eq(uploads.id, id))

    assert.equal((await ours.send('POST', `${at(id)}/packs`, { packs: [] })).body.code, 'upload_expired')
    assert.equal((await ours.send('POST', `${at(id)}/finish`, { manifest, packs: [] })).body.code, 'upload_expired')
  })
})

describe('finishing an upload', () => {
  it('hands it to the sealer, once; saying the same again changes nothing', async () => {
    const { id } = (await open()).body
    const request = { manifest, packs: [pack('a'), pack('b')] }

    const finished = await ours.send('POST', `${at(id)}/finish`, request)
    const again = await ours.send('POST', `${at(id)}/finish`, { manifest, packs: request.packs.toReversed() })
    const otherwise = await ours.send('POST', `${at(id)}/finish`, { manifest, packs: [pack('a')] })

    assert.equal(finished.status, 202)
    assert.deepEqual(finished.body, { id, application, state: 'finishing' })
    assert.deepEqual(again.body, finished.body)
    assert.equal(otherwise.status, 409)
    assert.equal(otherwise.body.code, 'upload_not_open')
    const [row] = await owner.select().from(uploads).where(eq(uploads.id, id))
    assert.deepEqual(row?.packs, request.packs)
    assert.equal((await ours.send('POST', `${at(id)}/packs`, { packs: [] })).body.code, 'upload_not_open')
  })

  it('shows what became of it: a version and its schedule item, or why it was refused', async () => {
    await putVersion(owner, ours, application, { number: 1 })
    const item = (await ours.send('POST', `${ours.below}/deployments/${deployment}/schedule-items`, { version: 1 })).body
    const [good, bad] = [(await open()).body.id, (await open()).body.id]
    await owner.update(uploads).set({ state: 'sealed', number: 1, scheduleItemId: item.id }).where(eq(uploads.id, good))
    await owner
      .update(uploads)
      .set({ state: 'refused', number: 2, refusalCode: 'bad_piece', refusalMessage: 'a piece is damaged' })
      .where(eq(uploads.id, bad))

    const [sealed, refused] = [(await ours.send('GET', at(good))).body, (await ours.send('GET', at(bad))).body]

    assert.deepEqual(sealed, { id: good, application, state: 'sealed', version: 1, schedule: item })
    assert.deepEqual(refused, {
      id: bad,
      application,
      state: 'refused',
      refusal: { code: 'bad_piece', message: 'a piece is damaged' }
    })
  })
})
