import type { BuildRef } from '@berth/shared/build'
import { canonicalJson, sha256Hex } from '@berth/shared/canonical'
import { type Envelope, parseEnvelope, type Signer, signEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { type Manifest, parseManifest } from '@berth/shared/manifest'
import { getBytes } from '@berth/shared/objects/bytes'
import { isObjectsError, type Objects } from '@berth/shared/objects/objects'
import { type PackEntry, readPackIndex } from '@berth/shared/packs/pack'
import { pieceKey } from '@berth/shared/packs/pieces'
import { Refusal } from '@berth/shared/refusal'
import {
  type Package,
  type PackagePiece,
  type PackageStatement,
  packageContext,
  type ReleaseTuple,
  releaseDigest
} from '@berth/shared/release'
import { openWithKey, sealWithKey } from '@berth/shared/sealed'
import type { SealerKeys } from './keys.ts'
import type { PackageRequest } from './release-store.ts'

export type PackageDeps = { readonly objects: Objects; readonly keys: SealerKeys; readonly signer: Signer }

export type PackageOrder = {
  readonly request: PackageRequest
  readonly fleet: string
  /** Of each pack of the version, the copy's incarnation in the fleet. */
  readonly incarnations: ReadonlyMap<string, number>
}

export type Packaged = {
  readonly tuple: ReleaseTuple
  readonly digest: string
  readonly packageDigest: string
  readonly fleetId: string
}

const manifestBytesMax = 256 * 1024 * 1024

/**
 * Makes one release ready for one fleet: copies packs and builds into its prefix, writes the package that opens exactly this
 * version's pieces there, and signs it. The signature comes last; made twice, it is the same release.
 */
export const makePackage = async (deps: PackageDeps, { request, fleet, incarnations }: PackageOrder): Promise<Packaged> => {
  const { objects, keys, signer } = deps
  const { release, deployment, version, hostNames } = request
  const subscription = release.subscriptionId
  const tuple = tupleOf(request)
  const { manifest, signature } = await readManifest(deps, request)
  const pieces = await placePieces(deps, request, manifest, incarnations)
  await copyPacks(objects, request, fleet, incarnations)
  for (const build of [buildRefOf(request), ...request.build.requires]) await copyBuild(objects, fleet, build)

  const content: Package = {
    format: 1,
    fleet,
    subscription,
    release: tuple,
    manifest,
    manifestSignature: signature,
    pieces,
    readingKey: await keys.readingKey(subscription)
  }
  const plaintext = Buffer.from(canonicalJson(content))
  const statement: PackageStatement = {
    fleet,
    subscription,
    deployment: deployment.id,
    hostNames,
    path: deployment.path,
    application: deployment.applicationId,
    number: version.number,
    manifest: version.manifest,
    release: releaseDigest(tuple),
    package: sha256Hex(plaintext)
  }
  const key = await keys.fleetSubscriptionKey(fleet, subscription)
  const sealed = await sealWithKey(key, packageContext(fleet, subscription, deployment.id), plaintext)
  const envelope = await signEnvelope('package', statement, [signer])
  await objects.put(layout.fleetPackage(fleet, release.id, release.incarnation), sealed)
  await objects.put(layout.fleetPackageSignature(fleet, release.id, release.incarnation), Buffer.from(JSON.stringify(envelope)))
  return { tuple, digest: statement.release, packageDigest: statement.package, fleetId: fleet }
}

const buildRefOf = ({ build: { name, version, platform, digest } }: PackageRequest): BuildRef => ({
  name,
  version,
  platform,
  digest
})

const tupleOf = (request: PackageRequest): ReleaseTuple => ({
  deployment: request.deployment.id,
  application: request.deployment.applicationId,
  number: request.version.number,
  manifest: request.version.manifest,
  build: buildRefOf(request),
  ...request.release.intent
})

const readManifest = async (
  { objects, keys }: PackageDeps,
  { release, version }: PackageRequest
): Promise<{ manifest: Manifest; signature: Envelope }> => {
  const { subscriptionId: subscription } = release
  const { applicationId: application, number } = version
  const sealed = await getBytes(objects, layout.vaultManifest(subscription, application, number), { bytesMax: manifestBytesMax })
  const signature = await getBytes(objects, layout.vaultManifestSignature(subscription, application, number))
  if (!sealed || !signature) throw new Refusal('version_incomplete', `version ${number} has no manifest in the vault`)
  const context = { purpose: 'manifest', subscription, application, number: String(number) }
  const plaintext = await openWithKey(await keys.contentKey(subscription), context, sealed)
  if (sha256Hex(plaintext) !== version.manifest)
    throw new Refusal('version_incomplete', `the manifest of version ${number} in the vault is not the one that was signed`)
  return { manifest: parseManifest(plaintext), signature: parseEnvelope(signature) }
}

/** Finds every piece of the manifest in the version's packs, and derives the keys of exactly these. */
const placePieces = async (
  deps: PackageDeps,
  request: PackageRequest,
  manifest: Manifest,
  incarnations: ReadonlyMap<string, number>
): Promise<PackagePiece[]> => {
  const wanted = new Set(manifest.files.flatMap(({ pieces }) => pieces))
  const placed = new Map<string, PackagePiece>()
  for (const { pack, bytes } of request.packs) {
    const { packKey, entries } = await readIndex(deps, request, pack, bytes)
    for (const entry of entries)
      if (wanted.has(entry.digest) && !placed.has(entry.digest))
        placed.set(entry.digest, {
          ...entry,
          pack,
          incarnation: incarnations.get(pack) ?? 1,
          key: pieceKey(packKey, entry.digest).toString('base64')
        })
  }
  if (placed.size !== wanted.size)
    throw new Refusal(
      'version_incomplete',
      `${wanted.size - placed.size} pieces of version ${request.version.number} are not in the vault`
    )
  return [...placed.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

const readIndex = async (
  { objects, keys }: PackageDeps,
  { release, version }: PackageRequest,
  pack: string,
  size: number
): Promise<{ packKey: Uint8Array; entries: PackEntry[] }> => {
  const [subscription, application] = [release.subscriptionId, version.applicationId]
  const sealedKey = await getBytes(objects, layout.vaultPackKey(subscription, application, pack))
  if (!sealedKey) throw new Refusal('version_incomplete', `pack ${pack} has no key in the vault`)
  const context = { purpose: 'pack', subscription, application, pack }
  const packKey = await openWithKey(await keys.contentKey(subscription), context, sealedKey)
  const readRange = (start: number, end: number) =>
    readBytes(objects, layout.vaultPack(subscription, application, pack), start, end)
  return { packKey, entries: await readPackIndex({ packKey, pack, subscription, application, size, readRange }) }
}

const readBytes = async (objects: Objects, key: string, start: number, end: number): Promise<Buffer> => {
  const found = await objects.get(key, { range: { start, end } })
  if (found.kind !== 'found') throw new Refusal('version_incomplete', `${key} is not in the vault`)
  const chunks: Buffer[] = []
  for await (const chunk of found.body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const copyPacks = async (
  objects: Objects,
  { release, version, packs }: PackageRequest,
  fleet: string,
  incarnations: ReadonlyMap<string, number>
): Promise<void> => {
  for (const { pack } of packs) {
    const copy = layout.fleetPack(fleet, pack, incarnations.get(pack) ?? 1)
    if (await objects.head(copy)) continue
    await objects.copy(layout.vaultPack(release.subscriptionId, version.applicationId, pack), copy)
  }
}

/** The statement comes last: an agent that finds it finds the archive. */
const copyBuild = async (objects: Objects, fleet: string, { name, version, platform }: BuildRef): Promise<void> => {
  const statement = layout.fleetBuildStatement(fleet, name, version, platform)
  if (await objects.head(statement)) return
  try {
    await objects.copy(layout.build(name, version, platform), layout.fleetBuild(fleet, name, version, platform))
    await objects.copy(layout.buildStatement(name, version, platform), statement)
  } catch (error) {
    if (!isObjectsError(error, 'missing')) throw error
    throw new Refusal('build_missing', `the build ${name} ${version} for ${platform} is not in the object store`, {
      cause: error
    })
  }
}
