import { randomBytes } from 'node:crypto'
import { Refusal } from '../refusal.ts'
import { derive, encodePiece, entryOverheadBytes, openEntry, pieceKey, sealEntry } from './pieces.ts'

/** The most bytes of entries in one pack (its index comes on top). */
export const packEntryBytesMax = 16 * 1024 * 1024
/** The most pieces in one pack: bounds its index, also when the pieces are tiny. */
export const packPiecesMax = 65_536

/** Where one piece stands in a pack. `length` is that of the whole sealed entry. */
export type PackEntry = {
  readonly digest: string
  readonly codec: number
  readonly plainLength: number
  readonly offset: number
  readonly length: number
}

/** A new pack's name: 128 random bits, never derived from what is in it. */
export const newPackId = (): string => randomBytes(16).toString('hex')

/** In staging a pack's key comes from the upload's; in the vault it is random and lies wrapped beside the pack. */
export const stagingPackKey = (uploadKey: Uint8Array, pack: string): Buffer =>
  derive(uploadKey, Buffer.concat([Buffer.from('berth/1/pack'), Buffer.from(pack, 'hex')]))

/** Which pack, of which application. */
export type PackOf = {
  readonly packKey: Uint8Array
  readonly pack: string
  readonly subscription: string
  readonly application: string
}

/** Index row: digest (32) ‖ codec (1) ‖ plain length (4) ‖ offset (4) ‖ entry length (4), integers big endian. */
const rowBytes = 32 + 1 + 4 + 4 + 4
/** No pack that is larger than this is read: the most bytes of entries, the largest index, the tail. */
export const packBytesMax = packEntryBytesMax + packPiecesMax * rowBytes + 1024
/** The tail: length of the sealed index (4, big endian) ‖ `BRP1`. */
const magic = Buffer.from('BRP1')
const tailBytes = 4 + magic.length

/**
 * Collects pieces into one pack in memory. `add` answers false when the piece no longer fits: finish this pack and take
 * another. The same digest twice is stored once.
 */
export const packWriter = ({ packKey, pack, subscription, application }: PackOf) => {
  const chunks: Buffer[] = []
  const entries: PackEntry[] = []
  const known = new Set<string>()
  let size = 0

  return {
    get empty(): boolean {
      return entries.length === 0
    },
    add: async (digest: string, plaintext: Uint8Array): Promise<boolean> => {
      if (known.has(digest)) return true
      if (entries.length === packPiecesMax) return false
      if (entries.length > 0 && size + plaintext.length + entryOverheadBytes > packEntryBytesMax) return false
      const { codec, encoded } = await encodePiece(plaintext)
      const sealedFor = { label: 'berth/1/piece', subscription, application, name: digest } as const
      const entry = sealEntry(pieceKey(packKey, digest), sealedFor, codec, plaintext.length, encoded)
      entries.push({ digest, codec, plainLength: plaintext.length, offset: size, length: entry.length })
      chunks.push(entry)
      known.add(digest)
      size += entry.length
      return true
    },
    finish: (): { readonly bytes: Buffer; readonly entries: PackEntry[] } => {
      const index = Buffer.concat(entries.map(indexRow))
      const sealed = sealEntry(
        indexKey(packKey),
        { label: 'berth/1/index', subscription, application, name: pack },
        0,
        index.length,
        index
      )
      const tail = Buffer.alloc(4)
      tail.writeUInt32BE(sealed.length)
      return { bytes: Buffer.concat([...chunks, sealed, tail, magic]), entries }
    }
  }
}

/**
 * Reads a pack's index from its tail by two ranged reads (`end` included). Refuses with `bad_pack` whatever is not
 * exactly one pack of this application: cut short, grown, or with rows that point outside of it.
 */
export const readPackIndex = async ({
  packKey,
  pack,
  subscription,
  application,
  size,
  readRange
}: PackOf & {
  readonly size: number
  readonly readRange: (start: number, end: number) => Promise<Uint8Array>
}): Promise<PackEntry[]> => {
  if (size < tailBytes + entryOverheadBytes || size > packBytesMax) throw badPack(pack, `has ${size} bytes`)
  const tail = Buffer.from(await readRange(size - tailBytes, size - 1))
  const indexStart = tail.length === tailBytes ? size - tailBytes - tail.readUInt32BE(0) : -1
  if (!tail.subarray(4).equals(magic) || indexStart < 0) throw badPack(pack, 'does not end as a pack ends')

  const sealed = await readRange(indexStart, size - tailBytes - 1)
  const plainLength = sealed.length - entryOverheadBytes
  if (plainLength < 0 || plainLength % rowBytes !== 0 || plainLength > packPiecesMax * rowBytes)
    throw badPack(pack, 'has an index of a wrong length')
  const index = openEntry(
    indexKey(packKey),
    { label: 'berth/1/index', subscription, application, name: pack },
    0,
    plainLength,
    sealed
  )

  const entries = Array.from({ length: plainLength / rowBytes }, (_, n) =>
    entryOfRow(index.subarray(n * rowBytes, (n + 1) * rowBytes))
  )
  let offset = 0
  for (const entry of entries) {
    if (entry.offset !== offset || entry.length < entryOverheadBytes)
      throw badPack(pack, 'has an index that does not fit its entries')
    offset += entry.length
  }
  if (offset !== indexStart) throw badPack(pack, 'has an index that does not fit its entries')
  return entries
}

const indexKey = (packKey: Uint8Array): Buffer => derive(packKey, Buffer.from('berth/1/index'))

const indexRow = ({ digest, codec, plainLength, offset, length }: PackEntry): Buffer => {
  const row = Buffer.alloc(rowBytes)
  Buffer.from(digest, 'hex').copy(row)
  row.writeUInt8(codec, 32)
  row.writeUInt32BE(plainLength, 33)
  row.writeUInt32BE(offset, 37)
  row.writeUInt32BE(length, 41)
  return row
}

const entryOfRow = (row: Buffer): PackEntry => ({
  digest: row.toString('hex', 0, 32),
  codec: row.readUInt8(32),
  plainLength: row.readUInt32BE(33),
  offset: row.readUInt32BE(37),
  length: row.readUInt32BE(41)
})

const badPack = (pack: string, what: string) =>
  new Refusal('bad_pack', `pack ${pack} ${what}: it is cut short, swapped or altered`)
