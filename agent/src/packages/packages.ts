import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from '@berth/shared/canonical'
import type { ReleaseRef } from '@berth/shared/desired'
import { writeFileAtomic } from '@berth/shared/files'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'
import { type Package, type PackageStatement, packageContext, type ReleaseTuple } from '@berth/shared/release'
import { openWithKey } from '@berth/shared/sealed'
import type { Root } from '@berth/shared/trust'
import type { FleetKeys } from './fleet-keys.ts'
import { checkPackage, checkShown, openPackageStatement, type Shown } from './verify.ts'

const packageBytesMax = 128 * 1024 * 1024
const signatureBytesMax = 64 * 1024

/** What is remembered of a verified package: everything but its files. */
export type KnownRelease = {
  readonly statement: PackageStatement
  readonly release: ReleaseTuple
  readonly readingKey: string
}

type Sealed = { readonly sealed: Buffer; readonly signature: Buffer }

export type Packages = Awaited<ReturnType<typeof packages>>

/**
 * Fetches packages and answers only what the sealer signed. They are kept on disk exactly as they came, sealed,
 * so that a reboot needs no store and a stolen disk holds no secret.
 */
export const packages = async ({
  objects,
  fleetKeys,
  fleet,
  root,
  folder
}: {
  readonly objects: Objects
  readonly fleetKeys: FleetKeys
  readonly fleet: string
  readonly root: Root
  readonly folder: string
}) => {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const known = new Map<string, KnownRelease>()
  const nameOf = (ref: ReleaseRef) => `${ref.id}.${ref.incarnation}`
  const fileOf = (ref: ReleaseRef) => join(folder, nameOf(ref))
  const here = new Set(await readdir(folder))

  const fromDisk = async (ref: ReleaseRef): Promise<Sealed | undefined> => {
    const [sealed, signature] = await Promise.all(
      [fileOf(ref), `${fileOf(ref)}.dsse.json`].map((file) => readFile(file).catch(() => undefined))
    )
    return sealed && signature && { sealed, signature }
  }
  const fromStore = async (ref: ReleaseRef): Promise<Sealed> => {
    const [sealed, signature] = await Promise.all([
      getBytes(objects, layout.fleetPackage(fleet, ref.id, ref.incarnation), { bytesMax: packageBytesMax }),
      getBytes(objects, layout.fleetPackageSignature(fleet, ref.id, ref.incarnation), { bytesMax: signatureBytesMax })
    ])
    if (!sealed || !signature)
      throw new Refusal(
        'missing_package',
        `the store holds no signed package ${ref.id}.${ref.incarnation} of release ${ref.release}`
      )
    return { sealed, signature }
  }
  const open = async (ref: ReleaseRef, shown: Shown, { sealed, signature }: Sealed): Promise<Package> => {
    const statement = openPackageStatement(root, fleet, ref, signature)
    checkShown(statement, shown)
    const context = packageContext(fleet, statement.subscription, statement.deployment)
    const key = await fleetKeys.subscriptionKey(statement.subscription)
    const plaintext = await openWithKey(key, context, sealed).catch(async (error) => {
      if (!(error instanceof Refusal)) throw error
      return openWithKey(await fleetKeys.subscriptionKey(statement.subscription, { isFresh: true }), context, sealed)
    })
    const content = checkPackage(root, statement, ref, plaintext)
    known.set(ref.package, { statement, release: content.release, readingKey: content.readingKey })
    return content
  }
  const get = async (ref: ReleaseRef, shown: Shown): Promise<Package> => {
    const kept = await fromDisk(ref)
    // What lies here was good once; if it no longer is, the disk is damaged or it was made anew: the store decides.
    const opened = kept && (await open(ref, shown, kept).catch(ignoreRefusal))
    if (opened) return opened
    const fetched = await fromStore(ref)
    const content = await open(ref, shown, fetched)
    await writeFileAtomic(`${fileOf(ref)}.dsse.json`, fetched.signature)
    await writeFileAtomic(fileOf(ref), fetched.sealed)
    here.add(`${nameOf(ref)}.dsse.json`).add(nameOf(ref))
    return content
  }

  return {
    /** The whole package, for installing. */
    get,
    /** What a release is, without its files; from memory when it was opened before. */
    describe: async (ref: ReleaseRef, shown: Shown): Promise<KnownRelease> => {
      const found = known.get(ref.package)
      if (found) {
        checkShown(found.statement, shown)
        checkSame(found, ref)
        return found
      }
      const { release, readingKey } = await get(ref, shown)
      const statement = known.get(ref.package)?.statement
      if (!statement) throw new Error('a package that was opened is known')
      return { statement, release, readingKey }
    },
    /** Whether this very package lies on the disk: what is only remembered does not outlive a reboot. */
    isHere: (ref: ReleaseRef): boolean => here.has(nameOf(ref)) && here.has(`${nameOf(ref)}.dsse.json`),
    /** What is remembered of a release by its package's digest, with no look at disk or store. */
    findKnown: (ref: ReleaseRef): KnownRelease | undefined => known.get(ref.package),
    /** Forgets the packages of releases that desired state no longer names. */
    sweep: async (refs: readonly ReleaseRef[]): Promise<void> => {
      const kept = new Set(refs.flatMap((ref) => [nameOf(ref), `${nameOf(ref)}.dsse.json`]))
      const digests = new Set(refs.map((ref) => ref.package))
      for (const digest of known.keys()) if (!digests.has(digest)) known.delete(digest)
      for (const file of await readdir(folder)) {
        if (kept.has(file)) continue
        here.delete(file)
        await rm(join(folder, file), { force: true })
      }
    }
  }
}

/** A package that was opened for one release answers for no other release and for no other build. */
const checkSame = ({ statement, release }: KnownRelease, ref: ReleaseRef): void => {
  if (statement.release !== ref.release || digestOf(release.build) !== digestOf(ref.build))
    throw new Refusal(
      'bad_package',
      `desired state names a package for release ${ref.release} or its build that was signed for another; nothing was started`
    )
}

const ignoreRefusal = (error: unknown): undefined => {
  if (error instanceof Refusal) return undefined
  throw error
}
