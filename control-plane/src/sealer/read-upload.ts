import type { UploadPack } from '@berth/shared/api/uploads'
import { sha256Hex } from '@berth/shared/canonical'
import { layout } from '@berth/shared/layout'
import type { Manifest } from '@berth/shared/manifest'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { type PackEntry, packBytesMax, readPackIndex, stagingPackKey } from '@berth/shared/packs/pack'
import { openPiece, pieceKey } from '@berth/shared/packs/pieces'
import { Refusal } from '@berth/shared/refusal'
import { openWithKey } from '@berth/shared/sealed'
import type { SealLimits } from './deps.ts'
import { checkManifest, expectedPieces } from './manifest-rules.ts'

export type StagedUpload = {
  readonly upload: string
  readonly subscription: string
  readonly application: string
  readonly uploadKey: Uint8Array
  readonly manifest: string
  readonly packs: readonly UploadPack[]
}
type Deps = { readonly objects: Objects; readonly limits: SealLimits }

const manifestBytesMax = 64 * 1024 * 1024 + 1024 * 1024

/** Opens and checks an upload's manifest. Throws a `Refusal` for whatever its publisher sent wrongly. */
export const readStagedManifest = async ({ objects, limits }: Deps, staged: StagedUpload): Promise<Manifest> => {
  const { upload, subscription, application, uploadKey, manifest: digest } = staged
  const sealed = await getBytes(objects, layout.stagingManifest(subscription, upload), { bytesMax: manifestBytesMax })
  if (!sealed) throw new Refusal('manifest_missing', 'the manifest is not in the staging store; publish anew')
  const context = { purpose: 'upload-manifest', subscription, application, upload }
  const opened = await openWithKey(uploadKey, context, sealed).catch((cause) => {
    throw new Refusal('manifest_altered', 'the manifest does not open: it was altered, or sealed for another upload', { cause })
  })
  return checkManifest(opened, { subscription, application, digest, limits })
}

/**
 * Opens every piece of every pack that was declared, one pack in memory at a time, and hands each on verified.
 * Throws a `Refusal` unless the packs hold exactly the manifest's pieces, each once and as declared.
 */
export const readStagedPieces = async (
  { objects }: Deps,
  staged: StagedUpload,
  manifest: Manifest,
  onPiece: (digest: string, plaintext: Buffer) => Promise<void>
): Promise<void> => {
  const expected = expectedPieces(manifest)
  const seen = new Set<string>()
  for (const declared of staged.packs) {
    const bytes = await readStagedPack(objects, staged, declared)
    const packKey = stagingPackKey(staged.uploadKey, declared.pack)
    for (const entry of await indexOf(staged, declared, packKey, bytes)) {
      checkEntry(entry, expected, seen, declared.pack)
      seen.add(entry.digest)
      await onPiece(entry.digest, await openEntryOf(staged, packKey, entry, bytes))
    }
  }
  const missing = [...expected.keys()].filter((digest) => !seen.has(digest))
  if (missing.length > 0)
    throw new Refusal('missing_piece', `${missing.length} of ${expected.size} pieces of the manifest are in none of the packs`)
}

const readStagedPack = async (
  objects: Objects,
  { subscription, upload }: StagedUpload,
  { pack, size, sha256 }: UploadPack
): Promise<Buffer> => {
  if (size > packBytesMax) throw new Refusal('bad_pack', `pack ${pack} is declared larger than any pack`)
  const altered = (what: string) => new Refusal('pack_altered', `pack ${pack} ${what}; it is not the one that was declared`)
  const bytes = await getBytes(objects, layout.stagingPack(subscription, upload, pack), { bytesMax: size }).catch((error) => {
    throw error instanceof Refusal ? altered(`has more than ${size} bytes`) : error
  })
  if (!bytes) throw new Refusal('pack_missing', `pack ${pack} is not in the staging store; publish anew`)
  if (bytes.length !== size) throw altered(`has ${bytes.length} bytes and not ${size}`)
  if (sha256Hex(bytes) !== sha256) throw altered('has another checksum')
  return bytes
}

const indexOf = (
  { subscription, application }: StagedUpload,
  { pack, size }: UploadPack,
  packKey: Uint8Array,
  bytes: Buffer
): Promise<PackEntry[]> =>
  readPackIndex({
    packKey,
    pack,
    subscription,
    application,
    size,
    readRange: async (start, end) => bytes.subarray(start, end + 1)
  })

const checkEntry = (
  { digest, plainLength }: PackEntry,
  expected: ReadonlyMap<string, number>,
  seen: ReadonlySet<string>,
  pack: string
): void => {
  const length = expected.get(digest)
  if (length === undefined) throw new Refusal('foreign_piece', `pack ${pack} holds a piece that the manifest does not name`)
  if (seen.has(digest)) throw new Refusal('foreign_piece', `pack ${pack} holds a piece that was sent before`)
  if (length !== plainLength)
    throw new Refusal('bad_piece', `a piece in pack ${pack} has ${plainLength} bytes; the manifest says ${length}`)
}

const openEntryOf = (
  { subscription, application }: StagedUpload,
  packKey: Uint8Array,
  { digest, codec, plainLength, offset, length }: PackEntry,
  bytes: Buffer
): Promise<Buffer> =>
  openPiece({
    key: pieceKey(packKey, digest),
    subscription,
    application,
    digest,
    codec,
    plainLength,
    entry: bytes.subarray(offset, offset + length)
  })
