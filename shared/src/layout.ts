/**
 * Every key in the object store, in one place (architecture, "Object layout"). The first segment is the bucket
 * (`observed` and `reports` lie in the cell's bucket beside `fleets`).
 */
export const layout = {
  stagingPrefix: (subscription: string, upload: string) => `staging/${subscription}/${upload}/`,
  stagingPack: (subscription: string, upload: string, pack: string) => `staging/${subscription}/${upload}/packs/${pack}`,
  stagingManifest: (subscription: string, upload: string) => `staging/${subscription}/${upload}/manifest`,

  vaultPack: (subscription: string, application: string, pack: string) => `vault/${subscription}/${application}/${pack}`,
  vaultPackKey: (subscription: string, application: string, pack: string) => `vault/${subscription}/${application}/${pack}.key`,
  vaultManifest: (subscription: string, application: string, number: number) =>
    `vault/${subscription}/${application}/manifests/${number}`,
  vaultManifestSignature: (subscription: string, application: string, number: number) =>
    `vault/${subscription}/${application}/manifests/${number}.dsse.json`,

  /** The subscription's data key, wrapped by the key service. */
  contentKey: (subscription: string) => `keys/${subscription}/content`,
  /** Pairs: `intake` (API seals secrets to it) and `reading` (servers seal what they ship to it). JSON `{ publicKey, wrapped }`. */
  keyPair: (subscription: string, pair: 'intake' | 'reading') => `keys/${subscription}/${pair}`,
  /** The (fleet, subscription) key again, sealed under `content` for the sealer. */
  fleetSubscriptionKey: (subscription: string, fleet: string) => `keys/${subscription}/fleets/${fleet}`,

  build: (name: string, version: string, platform: string) => `builds/${name}/${version}/${platform}/build.tar.zst`,
  buildStatement: (name: string, version: string, platform: string) =>
    `builds/${name}/${version}/${platform}/statement.dsse.json`,

  root: (number: number) => `control/trust/${number}.root.json`,

  fleetPrefix: (fleet: string) => `fleets/${fleet}/`,
  head: (fleet: string) => `fleets/${fleet}/head.json`,
  /** zstd of canonical JSON, named by the SHA-256 of the JSON: an index or a site. */
  desired: (fleet: string, digest: string) => `fleets/${fleet}/desired/${digest}.json.zst`,
  /** All site objects of one index, one canonical JSON a line, zstd: for newborns. */
  snapshot: (fleet: string, indexDigest: string) => `fleets/${fleet}/desired/${indexDigest}.snapshot.zst`,
  fleetPackage: (fleet: string, release: string, incarnation: number) => `fleets/${fleet}/packages/${release}.${incarnation}`,
  fleetPackageSignature: (fleet: string, release: string, incarnation: number) =>
    `fleets/${fleet}/packages/${release}.${incarnation}.dsse.json`,
  fleetPack: (fleet: string, pack: string, incarnation: number) => `fleets/${fleet}/packs/${pack}.${incarnation}`,
  fleetBuild: (fleet: string, name: string, version: string, platform: string) =>
    `fleets/${fleet}/builds/${name}/${version}/${platform}/build.tar.zst`,
  fleetBuildStatement: (fleet: string, name: string, version: string, platform: string) =>
    `fleets/${fleet}/builds/${name}/${version}/${platform}/statement.dsse.json`,
  fleetRoot: (fleet: string, number: number) => `fleets/${fleet}/trust/${number}.root.json`,
  /** JSON `{ publicKey, wrapped }`: the fleet's pair, the private half wrapped. */
  fleetKey: (fleet: string) => `fleets/${fleet}/key`,
  /** The (fleet, subscription) data key, sealed to the fleet's public key. */
  fleetSealedKey: (fleet: string, subscription: string) => `fleets/${fleet}/keys/${subscription}`,

  observed: (fleet: string, server: string) => `observed/${fleet}/${server}.json`,
  observedPrefix: (fleet: string) => `observed/${fleet}/`,
  diagnostics: (fleet: string, server: string, id: string) => `reports/${fleet}/${server}/diagnostics/${id}`,
  reportsPrefix: (fleet: string, server: string) => `reports/${fleet}/${server}/`
} as const
