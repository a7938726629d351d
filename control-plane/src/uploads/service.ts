import { randomUUID } from 'node:crypto'
import type {
  Upload,
  UploadCreated,
  UploadFinishRequest,
  UploadPacksAnswer,
  UploadPacksRequest,
  UploadRequest
} from '@berth/shared/api/uploads'
import type { Clock } from '@berth/shared/clock'
import type { Keys } from '@berth/shared/keys/keys'
import { layout } from '@berth/shared/layout'
import type { Objects } from '@berth/shared/objects/objects'
import { findApplication } from '../applications/store.ts'
import { findBuild } from '../builds/choose.ts'
import type { ApiConfig } from '../config.ts'
import { findDeployment } from '../deployments/store.ts'
import { type Caller, change, userOf } from '../platform/change.ts'
import { type Db, hint, inSubscription, one, type Tx } from '../platform/database.ts'
import { notFound, refusal } from '../platform/errors.ts'
import { findPresentedItem } from '../schedules/service.ts'
import { addPacks, isSameFinish, type WhyNot, whyNotAltogether, whyNotDeclared, whyNotOpen, whyNotPacks } from './rules.ts'
import * as store from './store.ts'

type Deps = {
  readonly db: Db
  readonly keys: Pick<Keys, 'dataKey'>
  readonly objects: Pick<Objects, 'presignPut'>
  readonly clock: Clock
  readonly config: Pick<ApiConfig, 'uploads' | 'platform'>
}

const urlSecondsMax = 3600

export const uploadService = ({ db, keys, objects, clock, config }: Deps) => {
  const { filesMax, bytesMax, packBytesMax, openMax, seconds } = config.uploads
  const limits = { filesMax, bytesMax, packBytesMax }
  return {
    /** Opens an upload and hands its key out: here, once. */
    create: async (caller: Caller, subscription: string, application: string, request: UploadRequest): Promise<UploadCreated> => {
      // Made before the transaction opens, so that none waits for the key service; a key that is not handed out opens nothing.
      const id = randomUUID()
      const { plaintext, wrapped } = await keys.dataKey('uploads', { purpose: 'upload', subscription, upload: id })
      return change(db, caller, subscription, async (tx) => {
        await checkTarget(tx, config.platform, application, request)
        refuseIf(whyNotDeclared(request, limits))
        if ((await store.countOpenUploads(tx, subscription)) >= openMax)
          throw refusal('too_many_uploads', `${openMax} uploads of the subscription are under way; wait until some end or expire`)
        const { files, bytes, note = null, deploy = null } = request
        const createdBy = userOf(caller)
        const row = { id, subscriptionId: subscription, applicationId: application, wrappedKey: Buffer.from(wrapped), createdBy }
        const upload = one(await store.insertUpload(tx, { ...row, files, bytes, note, deploy, seconds }))
        return {
          object: `upload/${id}`,
          detail: { application, files, bytes },
          handedOutOnce: 'upload_key_already_handed_out',
          answer: { id, key: Buffer.from(plaintext).toString('base64'), expiresAt: upload.expiresAt.toISOString(), limits }
        }
      })
    },

    /** URLs to which packs and the manifest may be put until the upload expires. Asking again gives fresh ones. */
    send: async (
      { idempotency: _, ...caller }: Caller,
      subscription: string,
      id: string,
      request: UploadPacksRequest
    ): Promise<UploadPacksAnswer> => {
      // Without the key: an answer that is kept would hand out URLs that have expired.
      const upload = await change(db, caller, subscription, async (tx) => {
        const row = await store.lockUpload(tx, id)
        if (!row) throw notFound()
        const presigned = addPacks(row.presigned, request.packs)
        refuseIf(whyNotOpen(row, clock.now()) ?? whyNotPacks(request, limits) ?? whyNotAltogether(presigned, row))
        await store.keepPresigned(tx, id, presigned)
        return { object: `upload/${id}`, detail: { packs: request.packs.length, manifest: !!request.manifest }, answer: row }
      })
      const leftSeconds = Math.ceil((upload.expiresAt.getTime() - clock.now().getTime()) / 1000)
      const expiresInSeconds = Math.max(1, Math.min(urlSecondsMax, leftSeconds))
      const presign = (key: string, { size, sha256 }: { size: number; sha256: string }) =>
        objects.presignPut(key, { size, sha256, expiresInSeconds })
      const packs = await Promise.all(
        request.packs.map(async ({ pack, ...what }) => ({
          pack,
          ...(await presign(layout.stagingPack(subscription, id, pack), what))
        }))
      )
      if (!request.manifest) return { packs }
      return { packs, manifest: await presign(layout.stagingManifest(subscription, id), request.manifest) }
    },

    /** Everything was sent: the sealer takes over. */
    finish: (caller: Caller, subscription: string, id: string, request: UploadFinishRequest): Promise<Upload> =>
      change(db, caller, subscription, async (tx) => {
        refuseIf(whyNotPacks(request, limits))
        const finished = await finish(tx, id, request, clock.now())
        await hint(tx, 'sealer')
        return {
          object: `upload/${id}`,
          detail: { manifest: request.manifest, packs: request.packs.length },
          answer: await present(tx, finished)
        }
      }),

    get: (subscription: string, id: string): Promise<Upload> =>
      inSubscription(db, subscription, async (tx) => {
        const row = await store.findUpload(tx, id)
        if (!row) throw notFound()
        return present(tx, row)
      })
  }
}
export type UploadService = ReturnType<typeof uploadService>

const checkTarget = async (tx: Tx, platform: string, applicationId: string, { deploy }: UploadRequest): Promise<void> => {
  const application = await findApplication(tx, applicationId)
  if (!application) throw notFound()
  if (application.status === 'disabled') throw refusal('disabled', `the application ${application.name} is disabled`)
  if (!deploy) return
  const deployment = await findDeployment(tx, deploy.deployment)
  if (!deployment) throw notFound('/deploy/deployment')
  if (deployment.applicationId !== applicationId)
    throw refusal('invalid', 'this deployment runs another application', { field: '/deploy/deployment' })
  if (deploy.build && !(await findBuild(tx, platform, 'static', deploy.build))) throw notFound('/deploy/build')
}

const finish = async (tx: Tx, id: string, request: UploadFinishRequest, now: Date): Promise<store.UploadRow> => {
  const row = await store.findUpload(tx, id)
  if (!row) throw notFound()
  if (row.state !== 'open' && isSameFinish(row, request)) return row
  refuseIf(whyNotOpen(row, now) ?? whyNotAltogether(addPacks({}, request.packs), row))
  const finished = await store.finishUpload(tx, id, request)
  if (!finished) throw refusal('upload_not_open', 'this upload was just finished with something else')
  return finished
}

const present = async (tx: Tx, row: store.UploadRow): Promise<Upload> => {
  const schedule = row.scheduleItemId === null ? undefined : await findPresentedItem(tx, row.scheduleItemId)
  return {
    id: row.id,
    application: row.applicationId,
    state: row.state,
    ...(row.state === 'sealed' && row.number !== null ? { version: row.number } : {}),
    ...(row.refusalCode === null ? {} : { refusal: { code: row.refusalCode, message: row.refusalMessage ?? '' } }),
    ...(schedule && { schedule })
  }
}

const refuseIf = (why: WhyNot | undefined): void => {
  if (why) throw refusal(why.code, why.message, why.field === undefined ? {} : { field: why.field })
}
