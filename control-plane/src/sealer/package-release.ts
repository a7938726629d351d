import type { BuildRef } from '@berth/shared/build'
import { canonicalJson, sha256Hex } from '@berth/shared/canonical'
import { parseEnvelope, signEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { type Manifest, parseManifest } from '@berth/shared/manifest'
import { getBytes } from '@berth/shared/objects/bytes'
import { isObjectsError, type Objects } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'
import { type Package, type PackageStatement, packageContext, type ReleaseTuple, releaseDigest } from '@berth/shared/release'
import { openWithKey, sealWithKey } from '@berth/shared/sealed'
import type { SealerContext } from './deps.ts'
import { openFleetKey, parseStoredPair } from './fleet-keys.ts'
import { placePieces } from './piece-places.ts'
import {
  buildRef,
  commitPackage,
  type FleetPack,
  failRelease,
  findFleetPacks,
  findRequested,
  placeSite,
  type ReleaseToPackage,
  recordFleetPacks
} from './releases-store.ts'
import { manifestContext } from './seal-upload.ts'

type Wanted = ReleaseToPackage & { readonly version: NonNullable<ReleaseToPackage['version']>; readonly fleet: string }

/**
 * Makes the package of a requested release: the site gets its fleet, the fleet copies of the packs and the build, and the package the
 * keys of exactly the version's pieces. Stopped anywhere, it is done again and ends the same.
 */
export const packageRelease = async (context: SealerContext, id: string): Promise<void> => {
  const found = await findRequested(context.db, id)
  if (!found) return
  try {
    const { version } = found
    if (!version) throw new Refusal('version_missing', `version ${found.release.version} does not exist`)
    const fleet = found.site.fleetId ?? (await placeSite(context.db, found.site))
    // Until a fleet is there, the operation says that it waits for one.
    if (fleet === undefined || !(await context.objects.head(layout.fleetKey(fleet)))) return
    await context.reach('site-placed')
    await makePackage(context, { ...found, version, fleet })
  } catch (error) {
    if (!(error instanceof Refusal) || error.code === 'unavailable' || error.code === 'no_content_key') throw error
    await failRelease(context.db, found, error)
  }
}

const makePackage = async (context: SealerContext, wanted: Wanted): Promise<void> => {
  const { deployment, release, build, fleet } = wanted
  const subscription = release.subscriptionId
  const [fleetKey, packs, manifest] = await Promise.all([
    openFleetKey(context, fleet, subscription),
    copyPacks(context, wanted),
    readManifest(context, wanted),
    ...[buildRef(build), ...build.requires].map((ref) => copyBuild(context.objects, fleet, ref))
  ])
  await context.reach('packs-copied')

  const { settings, pool, probe } = release.intent
  const tuple: ReleaseTuple = {
    deployment: deployment.id,
    application: deployment.applicationId,
    number: release.version,
    manifest: wanted.version.manifest,
    build: buildRef(build),
    settings,
    pool,
    probe
  }
  const digest = releaseDigest(tuple)
  const packageDigest = await putPackage(context, wanted, { ...manifest, tuple, digest, packs, fleetKey })
  await context.reach('package-put')
  await commitPackage(context.db, wanted, { fleet, tuple, digest, packageDigest })
  await context.reach('release-committed')
}

type Parts = {
  readonly manifest: Manifest
  readonly manifestSignature: unknown
  readonly readingKey: string
  readonly tuple: ReleaseTuple
  readonly digest: string
  readonly packs: readonly FleetPack[]
  readonly fleetKey: Uint8Array
}

/** Puts the sealed package and its signature; answers the digest of its plaintext. */
const putPackage = async (
  { objects, contentKeys, signer }: SealerContext,
  { deployment, release, fleet, hostNames }: Wanted,
  { manifest, manifestSignature, readingKey, tuple, digest, packs, fleetKey }: Parts
): Promise<string> => {
  const { subscription, application } = manifest
  const contentKey = await contentKeys.get(subscription)
  const pieces = await placePieces({ objects, contentKey, subscription, application }, manifest, packs)
  const message: Package = { format: 1, fleet, subscription, release: tuple, manifest, manifestSignature, pieces, readingKey }
  const bytes = Buffer.from(canonicalJson(message))
  const packageDigest = sha256Hex(bytes)
  const statement: PackageStatement = {
    fleet,
    subscription,
    deployment: deployment.id,
    hostNames: [...hostNames],
    path: deployment.path,
    application,
    number: tuple.number,
    manifest: tuple.manifest,
    release: digest,
    package: packageDigest
  }
  const [sealed, envelope] = await Promise.all([
    sealWithKey(fleetKey, packageContext(fleet, subscription, deployment.id), bytes),
    signEnvelope('package', statement, [signer])
  ])
  const { id, incarnation } = release
  await Promise.all([
    objects.put(layout.fleetPackage(fleet, id, incarnation), sealed),
    objects.put(layout.fleetPackageSignature(fleet, id, incarnation), Buffer.from(JSON.stringify(envelope)))
  ])
  return packageDigest
}

const readManifest = async (
  { objects, contentKeys }: SealerContext,
  { version, release }: Wanted
): Promise<Pick<Parts, 'manifest' | 'manifestSignature' | 'readingKey'>> => {
  const { subscriptionId: subscription } = release
  const { applicationId: application, number } = version
  const contentKey = await contentKeys.get(subscription)
  const [sealed, signature, reading] = await Promise.all([
    getBytes(objects, layout.vaultManifest(subscription, application, number)),
    getBytes(objects, layout.vaultManifestSignature(subscription, application, number)),
    getBytes(objects, layout.keyPair(subscription, 'reading'))
  ])
  if (!sealed || !signature) throw new Refusal('vault_damaged', `the manifest of version ${number} is not in the vault`)
  if (!reading) throw new Refusal('no_content_key', `subscription ${subscription} has no reading key yet`)
  const bytes = await openWithKey(contentKey, manifestContext(subscription, application, number), sealed)
  if (sha256Hex(bytes) !== version.manifest)
    throw new Refusal('vault_damaged', `the manifest of version ${number} in the vault is another one`)
  return {
    manifest: parseManifest(bytes),
    manifestSignature: parseEnvelope(signature),
    readingKey: parseStoredPair(reading).publicKey
  }
}

/** Copies the version's packs that the fleet does not have, inside the store; noted only when they are complete. */
const copyPacks = async ({ db, objects }: SealerContext, { fleet, packs, version }: Wanted): Promise<readonly FleetPack[]> => {
  const present = await findFleetPacks(
    db,
    fleet,
    packs.map(({ pack }) => pack)
  )
  const copies = packs.map((pack) => ({ ...pack, incarnation: present.get(pack.pack) ?? 1 }))
  const missing = copies.filter(({ pack }) => !present.has(pack))
  const vaultPack = (pack: string) => layout.vaultPack(version.subscriptionId, version.applicationId, pack)
  await Promise.all(
    missing.map(({ pack, incarnation }) => copy(objects, vaultPack(pack), layout.fleetPack(fleet, pack, incarnation)))
  )
  await recordFleetPacks(db, fleet, missing)
  return copies
}

/** The statement is copied last: where it lies, the archive lies too. */
const copyBuild = async (objects: Objects, fleet: string, { name, version, platform }: BuildRef): Promise<void> => {
  const statement = layout.fleetBuildStatement(fleet, name, version, platform)
  if (await objects.head(statement)) return
  await copy(objects, layout.build(name, version, platform), layout.fleetBuild(fleet, name, version, platform))
  await copy(objects, layout.buildStatement(name, version, platform), statement)
}

/** What is not there to be copied never will be: trying again mends nothing. */
const copy = async (objects: Objects, from: string, to: string): Promise<void> => {
  try {
    await objects.copy(from, to)
  } catch (error) {
    if (isObjectsError(error, 'missing')) throw new Refusal('vault_damaged', `${from} is not in the store`)
    throw error
  }
}
