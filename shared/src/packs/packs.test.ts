import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { newPackId, packBytesMax, packEntryBytesMax, packPiecesMax, packWriter, readPackIndex, stagingPackKey } from './pack.ts'
import { openPiece, pieceKey } from './pieces.ts'

const subscription = '11111111-1111-4111-8111-111111111111'
const application = '22222222-2222-4222-8222-222222222222'
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const packOf = async (pieces: readonly Uint8Array[]) => {
  const of = { packKey: randomBytes(32), pack: newPackId(), subscription, application }
  const writer = packWriter(of)
  for (const piece of pieces) assert.equal(await writer.add(digestOf(piece), piece), true)
  return { of, ...writer.finish() }
}
const indexOf = (of: Parameters<typeof packWriter>[0], bytes: Uint8Array) =>
  readPackIndex({ ...of, size: bytes.length, readRange: async (start, end) => bytes.subarray(start, end + 1) })
const open = (of: Parameters<typeof packWriter>[0], bytes: Buffer, entry: Awaited<ReturnType<typeof indexOf>>[number]) =>
  openPiece({
    ...of,
    ...entry,
    key: pieceKey(of.packKey, entry.digest),
    entry: bytes.subarray(entry.offset, entry.offset + entry.length)
  })

describe('a pack', () => {
  it('gives back every piece that was put in, whatever its bytes', async () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.string({ maxLength: 20 }).map((text) => Buffer.from(text.repeat(500)))
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 8 }), async (pieces) => {
        const { of, bytes, entries } = await packOf(pieces)

        const index = await indexOf(of, bytes)

        assert.deepEqual(index, entries)
        assert.equal(index.length, new Set(pieces.map(digestOf)).size)
        for (const entry of index) {
          const original = pieces.find((candidate) => digestOf(candidate) === entry.digest)
          assert.deepEqual(await open(of, bytes, entry), Buffer.from(original ?? []))
        }
      }),
      { numRuns: 40 }
    )
  })

  it('refuses to open after any single byte was changed', async () => {
    const { of, bytes } = await packOf([Buffer.from('one piece'), Buffer.alloc(500, 'a')])
    for (let at = 0; at < bytes.length; at++) {
      const altered = Buffer.from(bytes)
      altered.writeUInt8(altered.readUInt8(at) ^ 0x40, at)
      await assert.rejects(async () => {
        for (const entry of await indexOf(of, altered)) await open(of, altered, entry)
      }, `byte ${at} of ${bytes.length}`)
    }
  })

  it('refuses to open when it was cut short or something was appended', async () => {
    const { of, bytes } = await packOf([randomBytes(300)])
    for (const cut of [0, 1, 10, bytes.length - 1]) await assert.rejects(indexOf(of, bytes.subarray(0, cut)))
    await assert.rejects(indexOf(of, Buffer.concat([bytes, Buffer.from('x')])))
  })

  it('does not open for another subscription, another application, under another id, or with another upload’s key', async () => {
    const uploadKey = randomBytes(32)
    const pack = newPackId()
    const of = { packKey: stagingPackKey(uploadKey, pack), pack, subscription, application }
    const writer = packWriter(of)
    await writer.add(digestOf(Buffer.from('x')), Buffer.from('x'))
    const { bytes } = writer.finish()

    await assert.rejects(indexOf({ ...of, subscription: application }, bytes), { code: 'bad_piece' })
    await assert.rejects(indexOf({ ...of, application: subscription }, bytes), { code: 'bad_piece' })
    await assert.rejects(indexOf({ ...of, pack: newPackId() }, bytes), { code: 'bad_piece' })
    await assert.rejects(indexOf({ ...of, packKey: stagingPackKey(randomBytes(32), pack) }, bytes), { code: 'bad_piece' })
    assert.equal((await indexOf(of, bytes)).length, 1)
  })

  it('refuses a piece whose content is not what its digest says', async () => {
    const of = { packKey: randomBytes(32), pack: newPackId(), subscription, application }
    const writer = packWriter(of)
    const lie = digestOf(Buffer.from('promised'))
    await writer.add(lie, Buffer.from('delivered'))
    const { bytes } = writer.finish()
    const [entry] = await indexOf(of, bytes)
    assert.ok(entry)
    await assert.rejects(open(of, bytes, entry), { code: 'bad_piece', message: /other bytes/ })
  })

  it('never inflates beyond the declared length', async () => {
    const { of, bytes } = await packOf([Buffer.alloc(1_000_000)])
    const [entry] = await indexOf(of, bytes)
    assert.ok(entry && entry.length < 1000)
    await assert.rejects(open(of, bytes, { ...entry, plainLength: 10 }), { code: 'bad_piece' })
  })

  it('holds no digest and no plaintext in the clear', async () => {
    const secret = Buffer.from('a sentence that nobody else may read, long enough to be compressed or not')
    const { bytes } = await packOf([secret])
    assert.equal(bytes.includes(secret.subarray(0, 16)), false)
    assert.equal(bytes.includes(Buffer.from(digestOf(secret), 'hex')), false)
  })

  it('never holds more pieces than its readers allow', async () => {
    const writer = packWriter({ packKey: randomBytes(32), pack: newPackId(), subscription, application })
    const numbered = (n: number) => Buffer.from(String(n))
    for (let n = 0; n < packPiecesMax; n++) assert.equal(await writer.add(digestOf(numbered(n)), numbered(n)), true)

    assert.equal(await writer.add(digestOf(numbered(-1)), numbered(-1)), false)
    assert.ok(writer.finish().bytes.length <= packBytesMax)
  })

  it('never holds more than 16 MiB of entries: a piece that no longer fits goes into the next one', async () => {
    const writer = packWriter({ packKey: randomBytes(32), pack: newPackId(), subscription, application })
    const piece = () => randomBytes(7 * 1024 * 1024)
    const pieces = [piece(), piece(), piece()] as const
    assert.deepEqual(
      [await writer.add(digestOf(pieces[0]), pieces[0]), await writer.add(digestOf(pieces[1]), pieces[1])],
      [true, true]
    )
    assert.equal(await writer.add(digestOf(pieces[2]), pieces[2]), false)
    assert.ok(writer.finish().entries.reduce((sum, entry) => sum + entry.length, 0) <= packEntryBytesMax)
  })
})
