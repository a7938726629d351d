import type { Reason } from '@berth/shared/api/common'
import type { VersionKind } from '@berth/shared/api/versions'
import { digestOf } from '@berth/shared/canonical'
import type { Manifest } from '@berth/shared/manifest'
import { Refusal } from '@berth/shared/refusal'
import { and, eq, lt, sql } from 'drizzle-orm'
import { applications } from '../applications/schema.ts'
import { findBuild } from '../builds/choose.ts'
import { deployments } from '../deployments/schema.ts'
import { type AuditEntry, recordAudit } from '../platform/audit.ts'
import { type Db, inTransaction, type Tx } from '../platform/database.ts'
import { putItem } from '../schedules/service.ts'
import { startItem } from '../schedules/start.ts'
import { uploads } from '../uploads/schema.ts'
import { versionPacks, versions } from '../versions/schema.ts'
import { bytesOf } from './manifest-rules.ts'
import type { VaultPack } from './vault-packs.ts'

export type UploadToSeal = typeof uploads.$inferSelect

const isFinishing = (id: string) => and(eq(uploads.id, id), eq(uploads.state, 'finishing'))

/** The upload, when it still waits to be sealed. */
export const findFinishing = (db: Db, id: string): Promise<UploadToSeal | undefined> =>
  inTransaction(db, async (tx) => {
    const [upload] = await tx.select().from(uploads).where(isFinishing(id))
    return upload
  })

/** Ends an upload whose publisher sent something that may not be, and says what. */
export const refuseUpload = (db: Db, upload: UploadToSeal, { code, message }: Refusal): Promise<void> =>
  inTransaction(db, async (tx) => {
    const refused = await tx
      .update(uploads)
      .set({ state: 'refused', refusalCode: code, refusalMessage: message })
      .where(isFinishing(upload.id))
      .returning({ id: uploads.id })
    if (refused.length === 0) return
    await recordAudit(tx, { ...about(upload), action: 'uploads.seal', outcome: 'refused', detail: { code, message } })
  })

/** Ends an open upload whose time is over. */
export const refuseExpired = (db: Db, id: string): Promise<void> =>
  inTransaction(db, async (tx) => {
    const reason = { code: 'upload_expired', message: 'the upload was not finished in time; publish anew' }
    const [upload] = await tx
      .update(uploads)
      .set({ state: 'refused', refusalCode: reason.code, refusalMessage: reason.message })
      .where(and(eq(uploads.id, id), eq(uploads.state, 'open'), lt(uploads.expiresAt, sql`now()`)))
      .returning()
    if (upload) await recordAudit(tx, { ...about(upload), action: 'uploads.expire', outcome: 'refused', detail: reason })
  })

/** Takes the application's next number for this upload, once; nothing when it is no longer to be sealed. */
export const reserveNumber = (db: Db, { id, applicationId }: UploadToSeal): Promise<number | undefined> =>
  inTransaction(db, async (tx) => {
    const [upload] = await tx.select().from(uploads).where(isFinishing(id)).for('update')
    if (!upload || upload.number !== null) return upload?.number ?? undefined
    const [application] = await tx
      .update(applications)
      .set({ lastVersion: sql`${applications.lastVersion} + 1` })
      .where(eq(applications.id, applicationId))
      .returning({ number: applications.lastVersion })
    if (!application) throw new Error(`upload ${id} is of an application that does not exist`)
    await tx.update(uploads).set({ number: application.number }).where(eq(uploads.id, id))
    return application.number
  })

export type VersionToCommit = {
  readonly number: number
  readonly kind: VersionKind
  readonly manifest: Manifest
  readonly packs: readonly VaultPack[]
  /** Of the servers that it may be deployed on. */
  readonly platform: string
}

/** Makes the version visible, with all that follows from it, in one transaction. Answers false when another sealer did. */
export const commitVersion = (db: Db, upload: UploadToSeal, version: VersionToCommit): Promise<boolean> =>
  inTransaction(db, async (tx) => {
    const [locked] = await tx.select({ id: uploads.id }).from(uploads).where(isFinishing(upload.id)).for('update')
    if (!locked) return false
    const { number, kind, manifest, packs, platform } = version
    const { subscriptionId, applicationId } = upload
    const [row] = await tx
      .insert(versions)
      .values({
        subscriptionId,
        applicationId,
        number,
        kind,
        manifest: digestOf(manifest),
        files: manifest.files.length,
        bytes: bytesOf(manifest),
        note: upload.note,
        publishedBy: upload.createdBy,
        uploadId: upload.id
      })
      .returning({ id: versions.id })
    if (!row) throw new Error('a version that was inserted has no id')
    if (packs.length > 0)
      await tx.insert(versionPacks).values(packs.map((pack) => ({ subscriptionId, versionId: row.id, ...pack })))
    await recordAudit(tx, {
      ...about(upload),
      action: 'uploads.seal',
      outcome: 'done',
      detail: { application: applicationId, number }
    })
    const deployed = await deployIfWished(tx, upload, { number, kind, platform })
    await tx
      .update(uploads)
      .set({
        state: 'sealed',
        scheduleItemId: deployed.kind === 'started' ? deployed.item : null,
        ...(deployed.kind === 'refused' ? { refusalCode: deployed.reason.code, refusalMessage: deployed.reason.message } : {})
      })
      .where(eq(uploads.id, upload.id))
    return true
  })

type Sealed = Pick<VersionToCommit, 'number' | 'kind' | 'platform'>

type Deployed =
  | { readonly kind: 'not-wished' }
  | { readonly kind: 'started'; readonly item: string }
  | { readonly kind: 'refused'; readonly reason: Reason }

/** "Deploy when published": a schedule item that starts now. The version stands whether or not it can be deployed. */
const deployIfWished = async (tx: Tx, upload: UploadToSeal, version: Sealed): Promise<Deployed> => {
  if (!upload.deploy) return { kind: 'not-wished' }
  const wish = { action: 'schedule-items.create', detail: { deployment: upload.deploy.deployment, version: version.number } }
  try {
    const item = await startNow(tx, upload, upload.deploy, version)
    await recordAudit(tx, { ...about(upload), ...wish, object: `schedule-item/${item}`, outcome: 'done' })
    return { kind: 'started', item }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { code, message } = error
    await recordAudit(tx, { ...about(upload), ...wish, outcome: 'refused', detail: { ...wish.detail, code, message } })
    return { kind: 'refused', reason: { code, message: `version ${version.number} was made and not deployed: ${message}` } }
  }
}

const startNow = async (
  tx: Tx,
  { subscriptionId, applicationId, createdBy }: UploadToSeal,
  { deployment: deploymentId, build: choice }: NonNullable<UploadToSeal['deploy']>,
  { number: version, kind, platform }: Sealed
): Promise<string> => {
  const [deployment] = await tx
    .select()
    .from(deployments)
    .where(
      and(
        eq(deployments.id, deploymentId),
        eq(deployments.subscriptionId, subscriptionId),
        eq(deployments.applicationId, applicationId)
      )
    )
    .for('update')
  if (!deployment) throw new Refusal('not_found', 'the deployment does not exist, or is of another application')
  if (deployment.status === 'disabled') throw new Refusal('disabled', 'the deployment is disabled')
  const build = await findBuild(tx, platform, kind, choice)
  if (!build) throw new Refusal('no_build', `no build that fits a ${kind} version is offered`)
  const item = { deployment, version, buildId: build.id, loggingLevel: undefined, createdBy, span: {} }
  const { id } = await putItem(tx, item)
  await startItem(tx, { kind: 'deploy', id, subscriptionId, deploymentId, version, buildId: build.id, createdBy })
  return id
}

const about = ({ id, subscriptionId }: UploadToSeal) =>
  ({
    subscription: subscriptionId,
    actor: { kind: 'service', id: 'service:sealer' },
    object: `upload/${id}`
  }) satisfies Partial<AuditEntry>
