import { digestOf, sha256Hex } from '@berth/shared/canonical'
import type { ReleaseRef } from '@berth/shared/desired'
import { parseEnvelope } from '@berth/shared/dsse'
import { type ManifestFile, parseManifestStatement, sliceBytes } from '@berth/shared/manifest'
import { checkPaths } from '@berth/shared/paths'
import { Refusal } from '@berth/shared/refusal'
import {
  type Package,
  type PackagePiece,
  type PackageStatement,
  parsePackage,
  parsePackageStatement,
  releaseDigest
} from '@berth/shared/release'
import { openStatement, type Root, verifyStatement } from '@berth/shared/trust'
import type { DeploymentDesired } from '../plan/state.ts'

/** Where desired state shows a release. */
export type Shown = Pick<DeploymentDesired, 'deployment' | 'application' | 'subscription' | 'hostNames' | 'path'>

/** Opens the sealer's statement about a package and refuses one that is not about this release. */
export const openPackageStatement = (root: Root, fleet: string, ref: ReleaseRef, envelope: Uint8Array): PackageStatement => {
  const statement = parsePackageStatement(openStatement(root, envelope, 'package'))
  if (statement.fleet !== fleet || statement.release !== ref.release || statement.package !== ref.package)
    throw new Refusal('bad_package', `the package of release ${ref.release} is signed as that of another release or fleet`)
  return statement
}

/** Desired state may show a release only where the sealer said that it belongs. */
export const checkShown = (statement: PackageStatement, shown: Shown): void => {
  const isAsSigned =
    statement.subscription === shown.subscription &&
    statement.deployment === shown.deployment &&
    statement.application === shown.application &&
    statement.path === shown.path &&
    JSON.stringify([...statement.hostNames].sort()) === JSON.stringify([...shown.hostNames].sort())
  if (!isAsSigned)
    throw new Refusal(
      'shown_elsewhere',
      `desired state shows release ${statement.release} elsewhere than its package was signed for (${statement.hostNames.join(', ')} ${statement.path})`
    )
}

/** Parses an opened package and refuses it unless every part is what the sealer signed. */
export const checkPackage = (root: Root, statement: PackageStatement, ref: ReleaseRef, plaintext: Uint8Array): Package => {
  const refuse = (what: string): never => {
    throw new Refusal('bad_package', `the package of release ${ref.release} ${what}`)
  }
  if (sha256Hex(plaintext) !== statement.package) refuse('holds other bytes than were signed')
  const content = parsePackage(plaintext)
  const { release, manifest } = content

  if (content.fleet !== statement.fleet || content.subscription !== statement.subscription)
    refuse('is of another fleet or subscription')
  if (releaseDigest(release) !== statement.release) refuse('holds another release than was signed')
  if (
    release.deployment !== statement.deployment ||
    release.application !== statement.application ||
    release.number !== statement.number
  )
    refuse('holds a release of another deployment, application or version')
  if (digestOf(release.build) !== digestOf(ref.build)) refuse('needs another build than desired state says')
  const manifestDigest = digestOf(manifest)
  if (manifestDigest !== statement.manifest || manifestDigest !== release.manifest)
    refuse('holds another manifest than was signed')
  checkManifestSignature(root, content, manifestDigest)
  checkPaths(manifest.files.map(({ path }) => path))
  checkPieces(content, refuse)
  return content
}

/** The manifest carries the signature that it got when the version was sealed: no package can bring files of another version. */
const checkManifestSignature = (root: Root, { manifest, manifestSignature, release }: Package, digest: string): void => {
  const envelope = parseEnvelope(JSON.stringify(manifestSignature) ?? '')
  const signed = parseManifestStatement(verifyStatement(root, envelope, 'manifest'))
  const isSame =
    signed.manifest === digest &&
    signed.subscription === manifest.subscription &&
    signed.application === manifest.application &&
    signed.application === release.application &&
    signed.number === release.number
  if (!isSame) throw new Refusal('bad_manifest', `the manifest of version ${release.number} is not the one that was signed`)
}

const checkPieces = ({ manifest, pieces, subscription }: Package, refuse: (what: string) => never): void => {
  if (manifest.subscription !== subscription) refuse('holds a manifest of another subscription')
  const byDigest = new Map(pieces.map((piece) => [piece.digest, piece]))
  for (const file of manifest.files) if (!isWhole(file, byDigest)) refuse(`lacks pieces of ${JSON.stringify(file.path)}`)
}

const isWhole = ({ size, pieces }: ManifestFile, byDigest: ReadonlyMap<string, PackagePiece>): boolean => {
  const lengths = pieces.map((digest) => byDigest.get(digest)?.plainLength)
  return (
    lengths.every((length, n) => length !== undefined && (n === lengths.length - 1 || length === sliceBytes)) &&
    lengths.reduce<number>((sum, length) => sum + (length ?? 0), 0) === size
  )
}
