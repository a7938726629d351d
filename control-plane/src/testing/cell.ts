import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { canonicalJson, sha256Hex } from '@berth/shared/canonical'
import { systemClock } from '@berth/shared/clock'
import { defaultPool, defaultProbe } from '@berth/shared/fields'
import { createLocalKey, localKeys } from '@berth/shared/keys/local'
import { layout } from '@berth/shared/layout'
import type { Manifest } from '@berth/shared/manifest'
import { createFolderStore, folderObjects } from '@berth/shared/objects/folder'
import { newPackId, packWriter, stagingPackKey } from '@berth/shared/packs/pack'
import { fleetKeyName, fleetPairContext } from '@berth/shared/release'
import { sealWithKey } from '@berth/shared/sealed'
import { eq } from 'drizzle-orm'
import { accounts } from '../accounts/schema.ts'
import { applications } from '../applications/schema.ts'
import { publishBuild } from '../builds/publish.ts'
import { builds } from '../builds/schema.ts'
import { deployments } from '../deployments/schema.ts'
import { fleets, servers } from '../fleets/schema.ts'
import { connect, disconnect } from '../platform/database.ts'
import type { ServiceRole } from '../platform/roles.ts'
import { hostNames, sites } from '../sites/schema.ts'
import { subscriptions } from '../subscriptions/schema.ts'
import { makeFirstTrust } from '../trust/first-start.ts'
import { signerOf, signingKeys } from '../trust/signers.ts'
import { uploads } from '../uploads/schema.ts'
import { users } from '../users/schema.ts'
import { testDatabase } from './postgres.ts'

export type Cell = Awaited<ReturnType<typeof testCell>>

/** A real store and real keys in a folder of its own, and a real database, with trust and a node build: what services work with. */
export const testCell = async () => {
  const database = await testDatabase()
  const home = await mkdtemp(join(tmpdir(), 'berth-cell-'))
  const dbs: ReturnType<typeof connect>[] = []
  after(async () => {
    await Promise.all(dbs.map(disconnect))
    await rm(home, { recursive: true, force: true })
  })
  const open = (url: string) => {
    const db = connect(url)
    dbs.push(db)
    return db
  }
  const root = join(home, 'objects')
  await createFolderStore(root)
  const objects = await folderObjects({ root })
  const folder = join(home, 'keys')
  const makeKey = (name: string, purpose: 'wrap' | 'sign') => createLocalKey({ folder, name, purpose })
  await makeKey('uploads', 'wrap')
  const keys = await localKeys({ folder })
  await makeFirstTrust({ objects, keys, makeKey, clock: systemClock })
  const owner = open(database.ownerUrl)
  return {
    database,
    home,
    objects,
    keys,
    makeKey,
    /** Sees and may do everything: for arranging, never for acting. */
    owner,
    dbOf: (role: ServiceRole) => open(database.urlOf(role))
  }
}

/** A fleet with its key pair, as the provisioner makes it, and members that the cloud knows. */
export const putFleet = async (cell: Cell, members: readonly string[] = []): Promise<string> => {
  const { owner, objects, keys, makeKey } = cell
  const fleet = `f-${randomUUID().slice(0, 8)}`
  await makeKey(fleetKeyName(fleet), 'wrap')
  const { publicKey, wrapped } = await keys.keyPair(fleetKeyName(fleet), fleetPairContext(fleet))
  const pair = { publicKey, wrapped: Buffer.from(wrapped).toString('base64') }
  await objects.put(layout.fleetKey(fleet), Buffer.from(JSON.stringify(pair)))
  await owner.insert(fleets).values({
    id: fleet,
    tenancy: 'public',
    // A Region of its own, so that a test's site goes to its own fleet.
    region: fleet,
    cell: 'local',
    servers: Math.max(members.length, 1),
    status: 'active'
  })
  for (const server of members) await putMember(cell, fleet, server)
  return fleet
}

export const putMember = async ({ owner }: Cell, fleetId: string, server: string): Promise<void> => {
  await owner.insert(servers).values({ fleetId, server, zone: 'local-a', state: 'healthy' })
}

/** A `node` build whose archive and statement lie in the store, offered. */
export const putBuild = async ({ owner, objects, keys, home }: Cell): Promise<string> => {
  const archive = Buffer.from('what an archive holds')
  const file = join(home, 'build.tar.zst')
  await writeFile(file, archive)
  const build = {
    name: 'node',
    version: '24.1.0',
    platform: 'linux-x64',
    digest: sha256Hex(archive),
    size: archive.length,
    requires: []
  }
  await publishBuild({ objects, vendor: signerOf(keys, signingKeys.vendor) }, build, file)
  const [row] = await owner.insert(builds).values(build).onConflictDoNothing().returning()
  return must(row ?? (await owner.select().from(builds).where(eq(builds.name, 'node')))[0]).id
}

export type Tenant = Awaited<ReturnType<typeof putTenant>>

/**
 * A subscription with an owner, an account, an application, a site in `region` and a deployment at `/`. Its pairs are one that was made
 * once for all, since making them takes long; without `pairs` the sealer makes them.
 */
export const putTenant = async ({ owner, objects }: Cell, { region = 'nowhere', pairs = true } = {}) => {
  const name = `t${randomUUID().slice(0, 8)}`
  const user = must(
    (
      await owner
        .insert(users)
        .values({ email: `${name}@example.org`, name, passwordHash: '-' })
        .returning()
    )[0]
  )
  const subscription = must((await owner.insert(subscriptions).values({ name, primaryContactId: user.id }).returning())[0])
  const subscriptionId = subscription.id
  if (pairs)
    for (const pair of ['intake', 'reading'] as const)
      await objects.put(
        layout.keyPair(subscriptionId, pair),
        Buffer.from(JSON.stringify({ publicKey: publicKey(), wrapped: '' }))
      )
  const account = must((await owner.insert(accounts).values({ subscriptionId, name }).returning())[0])
  const application = must(
    (await owner.insert(applications).values({ subscriptionId, accountId: account.id, name }).returning())[0]
  )
  const site = must((await owner.insert(sites).values({ subscriptionId, name, region }).returning())[0])
  await owner.insert(hostNames).values({ subscriptionId, host: `${name}.localhost`, siteId: site.id, generated: true })
  const deployment = must(
    (
      await owner
        .insert(deployments)
        .values({
          subscriptionId,
          accountId: account.id,
          applicationId: application.id,
          siteId: site.id,
          name,
          path: '/',
          settings: { GREETING: 'hello' },
          pool: defaultPool,
          probe: defaultProbe,
          keepWarm: 'frozen'
        })
        .returning()
    )[0]
  )
  return {
    user: user.id,
    subscription: subscriptionId,
    application: application.id,
    site: site.id,
    host: `${name}.localhost`,
    deployment: deployment.id
  }
}

let madePublicKey: string | undefined
const publicKey = (): string => {
  madePublicKey ??= String(generateKeyPairSync('rsa', { modulusLength: 3072 }).publicKey.export({ type: 'spki', format: 'pem' }))
  return madePublicKey
}

type Sent = { readonly pack: string; readonly bytes: Buffer }
/** What a publisher sends, taken apart so that a test can spoil any of it. */
export type Publication = {
  manifest: Manifest
  pieces: Map<string, Buffer>
  deploy?: { deployment: string }
  /** Changes the packs on their way into the store; what was declared stays. */
  onSent?: (packs: Sent[]) => Sent[]
  /** Changes the manifest's text before it is declared and sealed. */
  manifestText?: (text: string) => string
  /** Changes the sealed manifest on its way into the store. */
  onManifest?: (sealed: Buffer) => Buffer | undefined
  declaredManifest?: string
  sealedFor?: Partial<Record<'subscription' | 'application' | 'upload', string>>
  expiresAt?: Date
}

/** The publication of these files, one piece each. */
export const publicationOf = (tenant: Tenant, files: Readonly<Record<string, string | Buffer>>): Publication => {
  const pieces = new Map<string, Buffer>()
  const rows = Object.entries(files)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, content]) => {
      const bytes = Buffer.from(content)
      const digest = sha256Hex(bytes)
      pieces.set(digest, bytes)
      return { path, size: bytes.length, executable: false, pieces: [digest] }
    })
  return { manifest: { format: 1, subscription: tenant.subscription, application: tenant.application, files: rows }, pieces }
}

/** Sends a publication into the staging store and finishes its upload, as the API and a client do together. */
export const sendUpload = async ({ owner, objects, keys }: Cell, tenant: Tenant, publication: Publication): Promise<string> => {
  const { subscription, application } = tenant
  const upload = randomUUID()
  const { plaintext, wrapped } = await keys.dataKey('uploads', { purpose: 'upload', subscription, upload })
  const text = canonicalJson(publication.manifest)
  const manifestBytes = Buffer.from(publication.manifestText?.(text) ?? text)
  const context = { purpose: 'upload-manifest', subscription, application, upload, ...publication.sealedFor }
  const sealed = await sealWithKey(plaintext, context, manifestBytes)
  const manifest = publication.onManifest ? publication.onManifest(sealed) : sealed
  if (manifest) await objects.put(layout.stagingManifest(subscription, upload), manifest)

  const packs = await packOf(publication, plaintext)
  for (const { pack, bytes } of publication.onSent?.(packs) ?? packs)
    await objects.put(layout.stagingPack(subscription, upload, pack), bytes)
  await owner.insert(uploads).values({
    subscriptionId: subscription,
    id: upload,
    applicationId: application,
    createdBy: tenant.user,
    state: publication.expiresAt ? 'open' : 'finishing',
    wrappedKey: Buffer.from(wrapped),
    manifest: publication.declaredManifest ?? sha256Hex(manifestBytes),
    packs: packs.map(({ pack, bytes }) => ({ pack, size: bytes.length, sha256: sha256Hex(bytes) })),
    files: publication.manifest.files.length,
    bytes: 0,
    deploy: publication.deploy ?? null,
    expiresAt: publication.expiresAt ?? new Date(Date.now() + 3_600_000)
  })
  return upload
}

/** Two packs where there are two pieces, so that packs can be mixed up. */
const packOf = async ({ manifest, pieces }: Publication, uploadKey: Uint8Array): Promise<Sent[]> => {
  const sent: Sent[] = []
  const all = [...pieces]
  const half = Math.ceil(all.length / 2)
  for (const some of [all.slice(0, half), all.slice(half)]) {
    if (some.length === 0) continue
    const pack = newPackId()
    const { subscription, application } = manifest
    const writer = packWriter({ packKey: stagingPackKey(uploadKey, pack), pack, subscription, application })
    for (const [digest, bytes] of some) await writer.add(digest, bytes)
    sent.push({ pack, bytes: writer.finish().bytes })
  }
  return sent
}

export const must = <Value>(value: Value | undefined | null): Value => {
  if (value === undefined || value === null) throw new Error('something that a test relies on is not there')
  return value
}

/** Every key below a prefix. */
export const keysBelow = async ({ objects }: Cell, prefix: string): Promise<string[]> =>
  (await objects.list(prefix)).objects.map(({ key }) => key)
