import type { UploadFinishRequest, UploadPack, UploadPacksRequest, UploadState } from '@berth/shared/api/uploads'
import type { RefusalCode } from '../platform/errors.ts'
import type { PackSizes } from './schema.ts'

/** The most bytes of the sealed manifest. */
export const manifestBytesMax = 64 * 1024 * 1024
/** What sealing, compressing badly and indexing may add to the declared bytes. */
const overheadBytesMax = 64 * 1024 * 1024

export type UploadLimits = { readonly filesMax: number; readonly bytesMax: number; readonly packBytesMax: number }

export type WhyNot = { readonly code: RefusalCode; readonly message: string; readonly field?: string }

/** Why a publication of this size is not taken; nothing when it is. */
export const whyNotDeclared = (
  { files, bytes }: { readonly files: number; readonly bytes: number },
  { filesMax, bytesMax }: UploadLimits
): WhyNot | undefined => {
  if (files > filesMax) return { code: 'too_large', field: '/files', message: `${files} files; ${filesMax} is the most` }
  if (bytes > bytesMax) return { code: 'too_large', field: '/bytes', message: `${bytes} bytes; ${bytesMax} is the most` }
  return undefined
}

/** Why an upload takes nothing any more; nothing when it is open. */
export const whyNotOpen = (
  { state, expiresAt }: { readonly state: UploadState; readonly expiresAt: Date },
  now: Date
): WhyNot | undefined => {
  if (state !== 'open') return { code: 'upload_not_open', message: `this upload is ${state}; publish anew to change something` }
  if (expiresAt <= now) return { code: 'upload_expired', message: 'this upload has expired with what was sent; publish anew' }
  return undefined
}

/** The most packs of one upload; as many as can be named when it is finished. */
const packsMax = 10_000

/** Why these packs cannot be sent; nothing when they can. */
export const whyNotPacks = (
  { packs, manifest }: UploadPacksRequest | UploadFinishRequest,
  { packBytesMax }: Pick<UploadLimits, 'packBytesMax'>
): WhyNot | undefined => {
  const large = packs.findIndex(({ size }) => size > packBytesMax)
  if (large >= 0)
    return { code: 'too_large', field: `/packs/${large}/size`, message: `${packBytesMax} bytes is the most for a pack` }
  const first = new Map(packs.map(({ pack }, index) => [pack, index] as const).toReversed())
  const twice = packs.findIndex(({ pack }, index) => first.get(pack) !== index)
  if (twice >= 0) return { code: 'invalid', field: `/packs/${twice}/pack`, message: 'this pack is named twice' }
  if (typeof manifest === 'object' && manifest.size > manifestBytesMax)
    return { code: 'too_large', field: '/manifest/size', message: `${manifestBytesMax} bytes is the most for a manifest` }
  return undefined
}

/** What may lie in the staging store once these packs have URLs too. A pack that is asked for again is still one object. */
export const addPacks = (presigned: PackSizes, packs: readonly UploadPack[]): PackSizes => ({
  ...presigned,
  ...Object.fromEntries(packs.map(({ pack, size }) => [pack, Math.max(size, presigned[pack] ?? 0)]))
})

/** Why an upload of `bytes` declared bytes may not put all of this into the staging store; nothing when it may. */
export const whyNotAltogether = (sizes: PackSizes, { bytes }: { readonly bytes: number }): WhyNot | undefined => {
  const all = Object.values(sizes)
  if (all.length > packsMax) return { code: 'too_large', field: '/packs', message: `${packsMax} packs is the most for an upload` }
  if (all.reduce((sum, size) => sum + size, 0) <= bytes + overheadBytesMax) return undefined
  return {
    code: 'too_large',
    field: '/packs',
    message: `with these, the upload's packs are larger than the ${bytes} bytes that were declared; publish anew`
  }
}

/** Whether an upload was finished with just this before: then finishing it again is no change. */
export const isSameFinish = (
  upload: { readonly manifest: string | null; readonly packs: readonly UploadPack[] },
  request: UploadFinishRequest
): boolean => {
  const sorted = (packs: readonly UploadPack[]) => packs.map(({ pack, size, sha256 }) => `${pack} ${size} ${sha256}`).toSorted()
  return upload.manifest === request.manifest && sorted(upload.packs).join() === sorted(request.packs).join()
}
