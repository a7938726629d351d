import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { inflateRaw, constants as zlib, zstdCompress, zstdDecompress } from 'node:zlib'
import { Refusal } from '../refusal.ts'

/** How a piece's bytes stand inside its sealed entry; the number is what is on the wire. Browsers write `deflate-raw`. */
export const codecs = { store: 0, zstd: 1, 'deflate-raw': 2 } as const
export type Codec = keyof typeof codecs

/** codec (1) ‖ length of the ciphertext (4, big endian) ‖ IV (12) ‖ ciphertext ‖ tag (16) */
const ivBytes = 12
const headerBytes = 1 + 4 + ivBytes
const tagBytes = 16
/** What an entry adds to the bytes it seals. */
export const entryOverheadBytes = headerBytes + tagBytes

/** HKDF-SHA-256 with an empty salt, 32 bytes: the one way a pack's key becomes others. */
export const derive = (key: Uint8Array, info: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', key, new Uint8Array(0), info, 32))

/** The key of one piece in one pack: it opens nothing else. */
export const pieceKey = (packKey: Uint8Array, digest: string): Buffer =>
  derive(packKey, Buffer.concat([Buffer.from('berth/1/piece'), Buffer.from(digest, 'hex')]))

/** What is sealed and for whom. `name` is the piece's digest, or the pack's id for its index; both in hex. */
export type SealedFor = {
  readonly label: 'berth/1/piece' | 'berth/1/index'
  readonly subscription: string
  readonly application: string
  readonly name: string
}

/** The associated data: the label, then each part behind its length (4 bytes, big endian), so that no part flows into the next. */
const associatedData = ({ label, subscription, application, name }: SealedFor, codec: number, plainLength: number): Buffer => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(plainLength)
  const parts = [Buffer.from(subscription), Buffer.from(application), Buffer.from(name, 'hex'), Buffer.from([codec]), length]
  return Buffer.concat([
    Buffer.from(label),
    ...parts.flatMap((part) => {
      const size = Buffer.alloc(4)
      size.writeUInt32BE(part.length)
      return [size, part]
    })
  ])
}

/** Seals bytes that are already encoded by `codec` as one entry under a key that is used for nothing else. */
export const sealEntry = (
  key: Uint8Array,
  sealedFor: SealedFor,
  codec: number,
  plainLength: number,
  encoded: Uint8Array
): Buffer => {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  cipher.setAAD(associatedData(sealedFor, codec, plainLength))
  const header = Buffer.alloc(5)
  header.writeUInt8(codec)
  header.writeUInt32BE(encoded.length, 1)
  return Buffer.concat([header, iv, cipher.update(encoded), cipher.final(), cipher.getAuthTag()])
}

/** Opens an entry: the encoded bytes, authentic for exactly this purpose. Refuses with `bad_piece`. */
export const openEntry = (
  key: Uint8Array,
  sealedFor: SealedFor,
  codec: number,
  plainLength: number,
  entry: Uint8Array
): Buffer => {
  const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength)
  if (
    bytes.length < entryOverheadBytes ||
    bytes.length !== entryOverheadBytes + bytes.readUInt32BE(1) ||
    bytes.readUInt8(0) !== codec
  )
    throw badPiece(sealedFor, 'is cut short or is not the one that was named')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(5, headerBytes), { authTagLength: tagBytes })
  decipher.setAAD(associatedData(sealedFor, codec, plainLength))
  decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(headerBytes, bytes.length - tagBytes)), decipher.final()])
  } catch (cause) {
    throw badPiece(sealedFor, 'does not open: it was altered, or sealed for something else', cause)
  }
}

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)
const inflate = promisify(inflateRaw)

/** Compressed where that saves at least a sixteenth; already compressed files are stored as they are. */
export const encodePiece = async (plaintext: Uint8Array): Promise<{ readonly codec: number; readonly encoded: Uint8Array }> => {
  if (plaintext.length < 64) return { codec: codecs.store, encoded: plaintext }
  const encoded = await compress(plaintext, { params: { [zlib.ZSTD_c_compressionLevel]: 3 } })
  return encoded.length < plaintext.length - plaintext.length / 16
    ? { codec: codecs.zstd, encoded }
    : { codec: codecs.store, encoded: plaintext }
}

/** Undoes `encodePiece`; never writes more than `plainLength` bytes, so that a small entry cannot become a large memory. */
const decodePiece = async (codec: number, encoded: Buffer, plainLength: number): Promise<Buffer> => {
  const limit = { maxOutputLength: Math.max(plainLength, 1) }
  switch (codec) {
    case codecs.store:
      return encoded
    case codecs.zstd:
      return decompress(encoded, limit)
    case codecs['deflate-raw']:
      return inflate(encoded, limit)
    default:
      throw new RangeError(`no codec has the number ${codec}`)
  }
}

/**
 * Opens one piece with its own key and answers its plaintext, whose length and SHA-256 are checked:
 * the digest, which a signed manifest names, is what binds the key to the content. Refuses with `bad_piece`.
 */
export const openPiece = async (o: {
  readonly key: Uint8Array
  readonly subscription: string
  readonly application: string
  readonly digest: string
  readonly codec: number
  readonly plainLength: number
  readonly entry: Uint8Array
}): Promise<Buffer> => {
  const sealedFor = { label: 'berth/1/piece', subscription: o.subscription, application: o.application, name: o.digest } as const
  const encoded = openEntry(o.key, sealedFor, o.codec, o.plainLength, o.entry)
  const plaintext = await decodePiece(o.codec, encoded, o.plainLength).catch((cause) => {
    throw badPiece(sealedFor, 'does not decompress', cause)
  })
  if (plaintext.length !== o.plainLength || createHash('sha256').update(plaintext).digest('hex') !== o.digest)
    throw badPiece(sealedFor, 'holds other bytes than its name says')
  return plaintext
}

const badPiece = ({ label, name }: SealedFor, what: string, cause?: unknown) =>
  new Refusal('bad_piece', `${label === 'berth/1/piece' ? 'piece' : 'the index of pack'} ${name} ${what}`, { cause })
