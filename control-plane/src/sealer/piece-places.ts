import { layout } from '@berth/shared/layout'
import type { Manifest } from '@berth/shared/manifest'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { readPackIndex } from '@berth/shared/packs/pack'
import { pieceKey } from '@berth/shared/packs/pieces'
import { Refusal } from '@berth/shared/refusal'
import type { PackagePiece } from '@berth/shared/release'
import { openWithKey } from '@berth/shared/sealed'
import { type VaultPack, vaultPackContext } from './vault-packs.ts'

export type Of = {
  readonly objects: Objects
  readonly contentKey: Uint8Array
  readonly subscription: string
  readonly application: string
}

/** Read in one go from a pack's end: nearly every index fits in, which saves a round to the store. */
const tailBytes = 64 * 1024

/**
 * Where each different piece of a manifest lies in a fleet's copies of its packs, with the key that opens just that piece.
 * Pieces of the packs that the manifest does not name are left out, keys and all.
 */
export const placePieces = async (
  of: Of,
  manifest: Manifest,
  packs: readonly (VaultPack & { readonly incarnation: number })[]
): Promise<PackagePiece[]> => {
  const wanted = new Set(manifest.files.flatMap(({ pieces }) => pieces))
  const places = new Map<string, PackagePiece>()
  const found = await Promise.all(packs.toSorted((a, b) => (a.pack < b.pack ? -1 : 1)).map((pack) => placesIn(of, pack, wanted)))
  for (const place of found.flat()) if (!places.has(place.digest)) places.set(place.digest, place)
  if (places.size !== wanted.size)
    throw new Refusal('vault_damaged', `${wanted.size - places.size} of the version's ${wanted.size} pieces are not in the vault`)
  return [...places.values()]
}

const placesIn = async (
  { objects, contentKey, subscription, application }: Of,
  { pack, bytes: size, incarnation }: VaultPack & { readonly incarnation: number },
  wanted: ReadonlySet<string>
): Promise<PackagePiece[]> => {
  const name = layout.vaultPack(subscription, application, pack)
  const tailStart = Math.max(0, size - tailBytes)
  const [sealedKey, tail] = await Promise.all([
    getBytes(objects, layout.vaultPackKey(subscription, application, pack)),
    getBytes(objects, name, { range: { start: tailStart } })
  ])
  if (!sealedKey || !tail) throw new Refusal('vault_damaged', `pack ${pack} or its key is not in the vault`)
  const packKey = await openWithKey(contentKey, vaultPackContext(subscription, application, pack), sealedKey)
  const readRange = async (start: number, end: number): Promise<Buffer> => {
    if (start >= tailStart) return tail.subarray(start - tailStart, end - tailStart + 1)
    return (await getBytes(objects, name, { range: { start, end } })) ?? Buffer.alloc(0)
  }
  const entries = await readPackIndex({ packKey, pack, subscription, application, size, readRange })
  return entries
    .filter(({ digest }) => wanted.has(digest))
    .map(({ digest, codec, plainLength, offset, length }) => {
      const key = pieceKey(packKey, digest).toString('base64')
      return { digest, pack, incarnation, offset, length, codec, plainLength, key }
    })
}
