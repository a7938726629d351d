import { canonicalJson, sha256Hex } from '@berth/shared/canonical'
import { type Manifest, type ManifestFile, parseManifest, pieceBytesMax, sliceBytes } from '@berth/shared/manifest'
import { checkPaths } from '@berth/shared/paths'
import { Refusal } from '@berth/shared/refusal'
import type { SealLimits } from './deps.ts'

export type Expected = {
  readonly subscription: string
  readonly application: string
  /** What was declared when the upload was finished. */
  readonly digest: string
  readonly limits: SealLimits
}

/** Reads an opened manifest and refuses everything about it that could not be served, or is not what was declared. */
export const checkManifest = (bytes: Uint8Array, { subscription, application, digest, limits }: Expected): Manifest => {
  if (sha256Hex(bytes) !== digest)
    throw new Refusal('manifest_altered', 'the manifest is not the one that was declared when the upload was finished')
  const manifest = parseManifest(bytes)
  if (!isCanonical(manifest, bytes)) throw new Refusal('bad_manifest', 'the manifest is not in canonical JSON')
  if (manifest.subscription !== subscription || manifest.application !== application)
    throw new Refusal('bad_manifest', 'the manifest is another application’s')

  if (manifest.files.length > limits.filesMax)
    throw new Refusal('too_large', `${manifest.files.length} files; ${limits.filesMax} is the most`)
  const bytesInAll = bytesOf(manifest)
  if (bytesInAll > limits.bytesMax) throw new Refusal('too_large', `${bytesInAll} bytes; ${limits.bytesMax} is the most`)
  checkPaths(manifest.files.map(({ path }) => path))
  for (const [at, { path }] of manifest.files.entries()) {
    const before = manifest.files[at - 1]
    if (before && before.path >= path)
      throw new Refusal('bad_manifest', `the manifest does not list its files in order at ${path}`)
  }
  return manifest
}

/** What has no canonical form at all is the publisher's fault too. */
const isCanonical = (manifest: Manifest, bytes: Uint8Array): boolean => {
  try {
    return canonicalJson(manifest) === Buffer.from(bytes).toString('utf8')
  } catch {
    return false
  }
}

export const bytesOf = (manifest: Manifest): number => manifest.files.reduce((sum, { size }) => sum + size, 0)

/** Digest → length of every different piece, as the files' sizes demand it. */
export const expectedPieces = (manifest: Manifest): Map<string, number> => {
  const lengths = new Map<string, number>()
  for (const file of manifest.files) {
    const cut = lengthsOf(file)
    if (cut.length !== file.pieces.length)
      throw new Refusal('bad_manifest', `${file.path} has ${file.pieces.length} pieces; ${file.size} bytes are ${cut.length}`)
    for (const [at, digest] of file.pieces.entries()) {
      const length = cut[at] ?? 0
      if ((lengths.get(digest) ?? length) !== length)
        throw new Refusal('bad_manifest', `${file.path} gives a piece another length than another file does`)
      lengths.set(digest, length)
    }
  }
  return lengths
}

/** A file up to `pieceBytesMax` is one piece, a larger one is cut into slices of which only the last may be shorter. */
const lengthsOf = ({ size }: ManifestFile): number[] => {
  if (size <= pieceBytesMax) return [size]
  const count = Math.ceil(size / sliceBytes)
  return Array.from({ length: count }, (_, at) => (at < count - 1 ? sliceBytes : size - (count - 1) * sliceBytes))
}
