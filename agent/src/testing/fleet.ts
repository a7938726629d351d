import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdCompress } from 'node:zlib'
import type { BirthRecord } from '@berth/shared/birth'
import type { BuildRef, BuildStatement } from '@berth/shared/build'
import { canonicalJson, digestOf, sha256Hex } from '@berth/shared/canonical'
import type { DesiredDeployment, DesiredSite, Head, ReleaseRef } from '@berth/shared/desired'
import { signEnvelope } from '@berth/shared/dsse'
import { defaultPool, defaultProbe, type PoolSettings, type Probe, type Settings } from '@berth/shared/fields'
import { createLocalKey, localKeys } from '@berth/shared/keys/local'
import { layout } from '@berth/shared/layout'
import { type Manifest, pieceBytesMax, sliceBytes } from '@berth/shared/manifest'
import { createFolderStore, folderObjects } from '@berth/shared/objects/folder'
import { newPackId, packWriter } from '@berth/shared/packs/pack'
import { pieceKey } from '@berth/shared/packs/pieces'
import {
  fleetKeyContext,
  fleetKeyName,
  fleetPairContext,
  type Package,
  type PackagePiece,
  type PackageStatement,
  packageContext,
  releaseDigest
} from '@berth/shared/release'
import { sealToPublicKey, sealWithKey } from '@berth/shared/sealed'
import { memorySigner } from '@berth/shared/testing/signers'
import { type Root, signRoot } from '@berth/shared/trust'

const compress = promisify(zstdCompress)
const day = 24 * 60 * 60 * 1000

export type TestFleet = Awaited<ReturnType<typeof testFleet>>
export type Files = Readonly<Record<string, string | Uint8Array>>

/** What the sealer, the writer and the vendor do for one fleet: real keys, a real store in a folder, small. */
export const testFleet = async (o: { readonly tenancy?: BirthRecord['tenancy'] } = {}) => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-agent-'))
  const fleet = 'f-test'
  const subscription = randomUUID()
  const application = randomUUID()
  const keysFolder = join(folder, 'keys')
  await mkdir(keysFolder, { mode: 0o700 })
  await createFolderStore(join(folder, 'objects'))
  const objects = await folderObjects({ root: join(folder, 'objects') })
  await createLocalKey({ folder: keysFolder, name: fleetKeyName(fleet), purpose: 'wrap' })
  const keys = await localKeys({ folder: keysFolder })

  const signers = { root: memorySigner(), writer: memorySigner(), sealer: memorySigner(), vendor: memorySigner() }
  const root: Root = {
    format: 1,
    number: 1,
    expires: new Date(Date.now() + 365 * day).toISOString(),
    keys: Object.fromEntries(Object.values(signers).map(({ id, pem }) => [id, pem])),
    root: { keys: [signers.root.id], threshold: 1 },
    writer: { keys: [signers.writer.id], threshold: 1 },
    sealer: { keys: [signers.sealer.id], threshold: 1 },
    vendor: { keys: [signers.vendor.id], threshold: 1 }
  }
  const tenancy = o.tenancy ?? 'public'
  const birth: BirthRecord = {
    format: 1,
    fleet,
    cell: 'local',
    cloud: 'local',
    tenancy,
    ...(tenancy === 'public' ? {} : { subscription }),
    root: await signRoot(root, [signers.root])
  }

  /** RSA keys take a while to make, and many tests publish nothing. */
  let secrets: ReturnType<typeof makeSecrets> | undefined
  const makeSecrets = async () => {
    const { publicKey, wrapped } = await keys.keyPair(fleetKeyName(fleet), fleetPairContext(fleet))
    const pair = { publicKey, wrapped: Buffer.from(wrapped).toString('base64') }
    await objects.put(layout.fleetKey(fleet), Buffer.from(JSON.stringify(pair)))
    return { publicKey, subscriptionKey: await makeSubscriptionKey(publicKey), reading: makeReadingPair() }
  }
  const makeSubscriptionKey = async (publicKey: string): Promise<Buffer> => {
    const key = randomBytes(32)
    const sealed = await sealToPublicKey(publicKey, fleetKeyContext(fleet, subscription), key)
    await objects.put(layout.fleetSealedKey(fleet, subscription), sealed)
    return key
  }
  const getSecrets = (): ReturnType<typeof makeSecrets> => {
    secrets ??= makeSecrets()
    return secrets
  }
  let generation = 0

  return {
    folder,
    keysFolder,
    fleet,
    subscription,
    application,
    objects,
    keys,
    signers,
    root,
    birth,
    /** PKCS#8 of the subscription's reading pair: what a reader would open diagnostics with. */
    readingKey: async (): Promise<Uint8Array> => (await getSecrets()).reading.privateKey,

    /** The sealer makes the (fleet, subscription) key anew. */
    renewSubscriptionKey: async (): Promise<void> => {
      const made = await getSecrets()
      secrets = Promise.resolve({ ...made, subscriptionKey: await makeSubscriptionKey(made.publicKey) })
    },

    /** Stores a build as the vendor would; by default an archive of a build that is never really run. */
    putBuild: async (statement: Omit<BuildStatement, 'size' | 'digest'>, archive: Uint8Array): Promise<BuildRef> => {
      const { name, version, platform } = statement
      const digest = sha256Hex(archive)
      const signed = await signEnvelope('build', { ...statement, size: archive.length, digest }, [signers.vendor])
      await objects.put(layout.fleetBuild(fleet, name, version, platform), archive)
      await objects.put(layout.fleetBuildStatement(fleet, name, version, platform), Buffer.from(JSON.stringify(signed)))
      return { name, version, platform, digest }
    },

    /** Packs files, signs the manifest, and stores a signed package; answers how desired state names it. `alter` makes bad ones. */
    putRelease: async (r: {
      readonly deployment: string
      readonly number: number
      readonly files: Files
      readonly build: BuildRef
      readonly hostNames: readonly string[]
      readonly path?: string
      readonly settings?: Settings
      readonly probe?: Partial<Probe>
      readonly pool?: Partial<PoolSettings>
      readonly alter?: {
        readonly statement?: (statement: PackageStatement) => PackageStatement
        readonly content?: (content: Package) => Package
        readonly sealer?: keyof typeof signers
        readonly manifestSigner?: keyof typeof signers
        readonly pack?: (bytes: Buffer) => Buffer
      }
    }): Promise<ReleaseRef> => {
      const { subscriptionKey, reading } = await getSecrets()
      const { manifest, contents } = manifestOf(subscription, application, r.files)
      const { pieces, bytes, pack } = await packUp(subscription, application, contents)
      await objects.put(layout.fleetPack(fleet, pack, 1), r.alter?.pack?.(bytes) ?? bytes)
      const manifestDigest = digestOf(manifest)
      const manifestSignature = await signEnvelope(
        'manifest',
        { subscription, application, number: r.number, manifest: manifestDigest },
        [signers[r.alter?.manifestSigner ?? 'sealer']]
      )
      const release = {
        deployment: r.deployment,
        application,
        number: r.number,
        manifest: manifestDigest,
        build: r.build,
        settings: r.settings ?? {},
        pool: { ...defaultPool, ...r.pool },
        probe: { ...defaultProbe, ...r.probe }
      }
      const plain: Package = {
        format: 1,
        fleet,
        subscription,
        release,
        manifest,
        manifestSignature,
        pieces,
        readingKey: reading.publicKey
      }
      const content = Buffer.from(canonicalJson(r.alter?.content?.(plain) ?? plain))
      const honest: PackageStatement = {
        fleet,
        subscription,
        deployment: r.deployment,
        hostNames: [...r.hostNames],
        path: r.path ?? '/',
        application,
        number: r.number,
        manifest: manifestDigest,
        release: releaseDigest(release),
        package: sha256Hex(content)
      }
      const statement = r.alter?.statement?.(honest) ?? honest
      const id = randomUUID()
      const context = packageContext(fleet, subscription, r.deployment)
      await objects.put(layout.fleetPackage(fleet, id, 1), await sealWithKey(subscriptionKey, context, content))
      const signed = await signEnvelope('package', statement, [signers[r.alter?.sealer ?? 'sealer']])
      await objects.put(layout.fleetPackageSignature(fleet, id, 1), Buffer.from(JSON.stringify(signed)))
      return { release: honest.release, id, incarnation: 1, package: statement.package, build: r.build }
    },

    /** Renders and stores a body, and swaps the head. `alter` makes heads that must be refused. */
    putDesired: async (
      sites: readonly DesiredSite[],
      alter: {
        readonly head?: (head: Head) => Head
        readonly signer?: keyof typeof signers | 'stranger'
        readonly indexFleet?: string
        readonly withoutObjects?: boolean
        readonly withoutSnapshot?: boolean
      } = {}
    ): Promise<Head> => {
      const texts = sites.map((site) => canonicalJson(site))
      const index = canonicalJson({
        format: 1,
        fleet: alter.indexFleet ?? fleet,
        sites: Object.fromEntries(sites.map((site) => [site.site, digestOf(site)]))
      })
      const digest = sha256Hex(index)
      if (!alter.withoutObjects)
        for (const text of [index, ...texts])
          await objects.put(layout.desired(fleet, sha256Hex(text)), await compress(Buffer.from(text)))
      if (!alter.withoutSnapshot) await objects.put(layout.snapshot(fleet, digest), await compress(Buffer.from(texts.join('\n'))))
      generation += 1
      const honest: Head = {
        fleet,
        generation,
        digest,
        revision: generation,
        signedAt: new Date().toISOString(),
        validUntil: new Date(Date.now() + day).toISOString(),
        root: 1,
        changed: texts.map((text) => sha256Hex(text)).slice(0, 32)
      }
      const head = alter.head?.(honest) ?? honest
      generation = Math.max(generation, head.generation)
      const signer = alter.signer === 'stranger' ? memorySigner() : signers[alter.signer ?? 'writer']
      await objects.put(layout.head(fleet), Buffer.from(JSON.stringify(await signEnvelope('head', head, [signer]))))
      return head
    },

    remove: () => rm(folder, { recursive: true, force: true })
  }
}

const makeReadingPair = (): { readonly publicKey: string; readonly privateKey: Buffer } =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' }
  })

/** A site of one subscription with these deployments, as a body shows it. */
export const siteOf = (
  subscription: string,
  site: string,
  hostNames: readonly string[],
  deployments: readonly DesiredDeployment[]
): DesiredSite => ({ format: 1, site, subscription, hostNames: [...hostNames], deployments: [...deployments] })

/** A deployment as a body shows it; what is not named is as at rest. */
export const deploymentOf = (
  base: Pick<DesiredDeployment, 'deployment' | 'application'>,
  change: Partial<DesiredDeployment> = {}
): DesiredDeployment => ({
  path: '/',
  keepWarm: 'frozen',
  current: null,
  preparing: null,
  warm: null,
  operation: randomUUID(),
  attempt: 1,
  bake: false,
  ...base,
  ...change
})

const manifestOf = (
  subscription: string,
  application: string,
  files: Files
): { readonly manifest: Manifest; readonly contents: ReadonlyMap<string, Buffer> } => {
  const contents = new Map<string, Buffer>()
  const rows = Object.entries(files)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([path, content]) => {
      const bytes = Buffer.from(content)
      const pieces = slicesOf(bytes).map((slice) => {
        const digest = sha256Hex(slice)
        contents.set(digest, slice)
        return digest
      })
      return { path, size: bytes.length, executable: path.endsWith('.sh'), pieces }
    })
  return { manifest: { format: 1, subscription, application, files: rows }, contents }
}

const slicesOf = (bytes: Buffer): Buffer[] => {
  if (bytes.length <= pieceBytesMax) return [bytes]
  return Array.from({ length: Math.ceil(bytes.length / sliceBytes) }, (_, n) =>
    bytes.subarray(n * sliceBytes, (n + 1) * sliceBytes)
  )
}

const packUp = async (
  subscription: string,
  application: string,
  contents: ReadonlyMap<string, Buffer>
): Promise<{ readonly pieces: PackagePiece[]; readonly bytes: Buffer; readonly pack: string }> => {
  const packKey = randomBytes(32)
  const pack = newPackId()
  const writer = packWriter({ packKey, pack, subscription, application })
  for (const [digest, bytes] of contents) if (!(await writer.add(digest, bytes))) throw new Error('keep test data small')
  const { bytes, entries } = writer.finish()
  const pieces = entries.map(({ digest, ...entry }) => ({
    ...entry,
    digest,
    pack,
    incarnation: 1,
    key: pieceKey(packKey, digest).toString('base64')
  }))
  return { pieces, bytes, pack }
}
