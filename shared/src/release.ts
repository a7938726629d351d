import { type Static, Type } from 'typebox'
import { BuildRef } from './build.ts'
import { digestOf } from './canonical.ts'
import { Digest, HostName, PackId, PoolSettings, Probe, Settings, SitePath, StoreName, Uuid } from './fields.ts'
import { Manifest } from './manifest.ts'
import { jsonParser } from './parse.ts'

/** The immutable tuple that a server runs. Two releases with the same tuple have the same digest and are the same pool. */
export const ReleaseTuple = Type.Object(
  {
    deployment: Uuid,
    application: Uuid,
    number: Type.Integer({ minimum: 1 }),
    manifest: Digest,
    build: BuildRef,
    settings: Settings,
    pool: PoolSettings,
    probe: Probe
  },
  { additionalProperties: false }
)
export type ReleaseTuple = Static<typeof ReleaseTuple>

export const releaseDigest = (tuple: ReleaseTuple): string => digestOf(tuple)

/** Where one piece lies: in which copy of a pack in the fleet's prefix, at which bytes, and the key that opens just it. */
export const PackagePiece = Type.Object(
  {
    digest: Digest,
    pack: PackId,
    incarnation: Type.Integer({ minimum: 1 }),
    offset: Type.Integer({ minimum: 0 }),
    length: Type.Integer({ minimum: 1 }),
    codec: Type.Integer({ minimum: 0, maximum: 2 }),
    plainLength: Type.Integer({ minimum: 0 }),
    /** base64 of 32 bytes */
    key: Type.String({ pattern: '^[A-Za-z0-9+/]{43}=$' })
  },
  { additionalProperties: false }
)
export type PackagePiece = Static<typeof PackagePiece>

/** Everything that a server needs to run one release, sealed under the (fleet, subscription) key. */
export const Package = Type.Object(
  {
    format: Type.Literal(1),
    fleet: StoreName,
    subscription: Uuid,
    release: ReleaseTuple,
    manifest: Manifest,
    /** The sealer's envelope over the manifest's statement. */
    manifestSignature: Type.Unknown(),
    /** One row per different piece of the manifest. */
    pieces: Type.Array(PackagePiece),
    /** SPKI PEM: servers seal logs and probe answers to it. */
    readingKey: Type.String({ maxLength: 2048 })
  },
  { additionalProperties: false }
)
export type Package = Static<typeof Package>
export const parsePackage = jsonParser(Package, 'a package', 'bad_package')

/**
 * What the sealer signs for a package, stored beside it. `package` is the digest of the package's plaintext;
 * host names and path stand here, so that a body that shows a deployment elsewhere is refused.
 */
export const PackageStatement = Type.Object(
  {
    fleet: StoreName,
    subscription: Uuid,
    deployment: Uuid,
    hostNames: Type.Array(HostName, { minItems: 1, maxItems: 16 }),
    path: SitePath,
    application: Uuid,
    number: Type.Integer({ minimum: 1 }),
    manifest: Digest,
    release: Digest,
    package: Digest
  },
  { additionalProperties: false }
)
export type PackageStatement = Static<typeof PackageStatement>
export const parsePackageStatement = jsonParser(PackageStatement, 'a package statement', 'bad_package')

/** Encryption contexts of what is sealed for a fleet; opening demands the same pairs. */
export const packageContext = (fleet: string, subscription: string, deployment: string) => ({
  purpose: 'package',
  fleet,
  subscription,
  deployment
})
export const fleetKeyContext = (fleet: string, subscription: string) => ({
  purpose: 'fleet-subscription-key',
  fleet,
  subscription
})
/** Context under which a fleet's private half is wrapped by the key service (key `fleet-<fleet>`). */
export const fleetPairContext = (fleet: string) => ({ purpose: 'fleet', fleet })
export const fleetKeyName = (fleet: string) => `fleet-${fleet}`
