import { canonicalJson, digestOf } from '@berth/shared/canonical'
import { signEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import type { Manifest, ManifestStatement } from '@berth/shared/manifest'
import { getBytes } from '@berth/shared/objects/bytes'
import { Refusal } from '@berth/shared/refusal'
import { openWithKey, sealWithKey } from '@berth/shared/sealed'
import { asRefusal } from '../platform/errors.ts'
import { putOnce } from '../platform/put-once.ts'
import type { SealerContext } from './deps.ts'
import { kindOf, packageFile } from './kind.ts'
import { readStagedManifest, readStagedPieces, type StagedUpload } from './read-upload.ts'
import { deleteStaging } from './staging.ts'
import { commitVersion, findFinishing, refuseUpload, reserveNumber, type UploadToSeal } from './uploads-store.ts'
import { type VaultPack, type VaultPacks, vaultPacks } from './vault-packs.ts'

/** What binds the key of an upload that the API made and wrapped. */
export const uploadContext = (subscription: string, upload: string) => ({ purpose: 'upload', subscription, upload })
export const manifestContext = (subscription: string, application: string, number: number) => ({
  purpose: 'manifest',
  subscription,
  application,
  number: String(number)
})

type Verified = { readonly manifest: Manifest; readonly packageJson: Buffer | undefined; readonly packs: readonly VaultPack[] }

/** How long the sealer tries an upload that does not end as a version and is refused by no rule either. */
const tryingMsMax = 60 * 60_000

/**
 * Seals an upload that was finished, or refuses it. One that fails again and again, and not because something is away, is given up
 * after an hour: whatever it is, nobody shall wait for it, or fetch it, for ever.
 */
export const sealUpload = async (context: SealerContext, id: string): Promise<void> => {
  const upload = await findFinishing(context.db, id)
  if (!upload) return
  try {
    await seal(context, upload)
  } catch (error) {
    const sinceMs = (upload.finishedAt ?? upload.createdAt).getTime()
    const isOurs = asRefusal(error)?.code === 'unavailable' || context.clock.now().getTime() - sinceMs < tryingMsMax
    if (!isOurs) await refuse(context, upload, new Refusal('sealing_failed', 'the upload could not be sealed; publish anew'))
    throw error
  }
}

/**
 * Makes a version of an upload that was finished: everything is opened, verified and sealed anew for the vault before a number is
 * taken, and the version's row is the last thing that is written. Stopped anywhere, it is done again from the start and ends the same;
 * packs that a stopped try left in the vault belong to no version.
 */
const seal = async (context: SealerContext, upload: UploadToSeal): Promise<void> => {
  const { objects, contentKeys, reach } = context
  const { id, subscriptionId: subscription, applicationId: application } = upload
  const contentKey = await contentKeys.get(subscription)
  const vault = vaultPacks({ objects, contentKey, subscription, application, onPut: () => reach('pack-put') })

  const verified = await verify(context, upload, vault)
  if (verified instanceof Refusal) {
    await vault.discard()
    return refuse(context, upload, verified)
  }
  await reach('upload-verified')

  const number = upload.number ?? (await reserveNumber(context.db, upload))
  if (number === undefined) return vault.discard()
  await reach('number-reserved')
  await putManifest(context, contentKey, number, verified.manifest)
  const paths = new Set(verified.manifest.files.map(({ path }) => path))
  const kind = kindOf(paths, verified.packageJson)
  const committed = await commitVersion(context.db, upload, { ...verified, number, kind, platform: context.platform })
  if (!committed) await vault.discard()
  await reach('version-committed')
  await deleteStaging(objects, subscription, id)
}

/** A version that was made after all stays: then this changes nothing. */
const refuse = async ({ db, objects, reach }: SealerContext, upload: UploadToSeal, why: Refusal): Promise<void> => {
  await refuseUpload(db, upload, why)
  await reach('upload-refused')
  await deleteStaging(objects, upload.subscriptionId, upload.id)
}

/** Answers the refusal where the publisher's upload is at fault; throws for what is our own trouble, which is tried again. */
const verify = async (context: SealerContext, upload: UploadToSeal, vault: VaultPacks): Promise<Verified | Refusal> => {
  const { subscriptionId: subscription, applicationId: application, id } = upload
  const uploadKey = await context.keys.unwrap('uploads', upload.wrappedKey, uploadContext(subscription, id))
  const staged: StagedUpload = {
    upload: id,
    subscription,
    application,
    uploadKey,
    manifest: upload.manifest ?? '',
    packs: upload.packs
  }
  try {
    const manifest = await readStagedManifest(context, staged)
    const wanted = manifest.files.find(({ path }) => path === packageFile)?.pieces[0]
    let packageJson: Buffer | undefined
    await readStagedPieces(context, staged, manifest, async (digest, plaintext) => {
      if (digest === wanted) packageJson = plaintext
      await vault.add(digest, plaintext)
    })
    return { manifest, packageJson, packs: await vault.finish() }
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

/** Puts and signs manifest number `number`. What stands there already must be ours: from a try that was stopped. */
const putManifest = async (
  { objects, signer, reach }: SealerContext,
  contentKey: Uint8Array,
  number: number,
  manifest: Manifest
): Promise<void> => {
  const { subscription, application } = manifest
  const context = manifestContext(subscription, application, number)
  const key = layout.vaultManifest(subscription, application, number)
  const bytes = Buffer.from(canonicalJson(manifest))
  if (!(await putOnce(objects, key, await sealWithKey(contentKey, context, bytes)))) {
    const sealed = await getBytes(objects, key)
    const found = sealed && (await openWithKey(contentKey, context, sealed))
    if (!found?.equals(bytes))
      throw new Error(
        `manifest ${number} of application ${application} is another one in the vault: this database is an older one`
      )
  }
  await reach('manifest-put')

  const statement: ManifestStatement = { subscription, application, number, manifest: digestOf(manifest) }
  const envelope = await signEnvelope('manifest', statement, [signer])
  await objects.put(layout.vaultManifestSignature(subscription, application, number), Buffer.from(JSON.stringify(envelope)))
  await reach('manifest-signed')
}
