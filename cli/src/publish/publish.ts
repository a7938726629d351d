import type { Reason } from '@berth/shared/api/common'
import type { ScheduleItem } from '@berth/shared/api/schedules'
import type { Upload, UploadCreated, UploadDeploy, UploadPack, UploadRequest } from '@berth/shared/api/uploads'
import { canonicalJson, sha256Hex } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import { sealWithKey } from '@berth/shared/sealed'
import type { SubscriptionClient } from '../client.ts'
import { CliError } from '../errors.ts'
import type { Progress } from '../output.ts'
import { byteText, counted, rateText } from '../text.ts'
import { waitFor } from '../waiting.ts'
import { sendPacks } from './packs.ts'
import { type HashedFolder, hashFolder, manifestOf } from './pieces.ts'
import { type PutTarget, putBytes } from './put.ts'
import { checkLimits, walkFolder } from './walk.ts'

/** No manifest holds more files; how many bytes are allowed is the API's to say. */
const foundLimits = { filesMax: 200_000, bytesMax: Number.MAX_SAFE_INTEGER } as const
const sealingMsMax = 15 * 60_000

export type PublishContext = { readonly client: SubscriptionClient; readonly clock: Clock; readonly progress: Progress }

/** Walks and hashes a folder, so that a bad one is refused before anything is made anywhere. */
export const readFolder = async (folder: string, { clock, progress }: Omit<PublishContext, 'client'>): Promise<HashedFolder> => {
  progress.show(`reading ${folder}`)
  const found = await walkFolder(folder, foundLimits)
  const startedAt = clock.now().getTime()
  let bytes = 0
  return hashFolder(found, (_path, length) => {
    bytes += length
    const rate = rateText(bytes, clock.now().getTime() - startedAt)
    progress.show(`hashing: ${byteText(bytes)} of ${byteText(found.bytes)} (${rate})`)
  })
}

/** `12 files, 3.4 MB`, and what was left out. */
export const folderText = ({ files, bytes, leftOut }: HashedFolder): string =>
  `${counted(files.length, 'file')}, ${byteText(bytes)}${leftOut > 0 ? ` (without ${counted(leftOut, 'link')} in node_modules/.bin)` : ''}`

/** `refusal` says why there is no `schedule` although it was wished for. */
export type Published = {
  readonly upload: string
  readonly version: number
  readonly schedule?: ScheduleItem
  readonly refusal?: Reason
}

/**
 * Makes one new version of the application from the folder: an upload with a key of its own, packs sealed under it here and
 * put into the staging store, then the sealed manifest; answers once the platform has verified and re-sealed everything.
 */
export const publishFolder = async (
  context: PublishContext,
  o: {
    readonly folder: HashedFolder
    readonly application: string
    readonly note?: string | undefined
    readonly deploy?: UploadDeploy | undefined
  }
): Promise<Published> => {
  const { client } = context
  const created = await createUpload(client, o.application, {
    files: o.folder.files.length,
    bytes: o.folder.bytes,
    ...(o.note === undefined ? {} : { note: o.note }),
    ...(o.deploy === undefined ? {} : { deploy: o.deploy })
  })
  checkLimits(o.folder.files.length, o.folder.bytes, created.limits)
  const uploadKey = Buffer.from(created.key, 'base64')
  try {
    const upload = { id: created.id, key: uploadKey, application: o.application }
    const packs = await sendContent(context, upload, o.folder)
    const manifest = await sendManifest(context, upload, o.folder)
    await client.finishUpload(created.id, { manifest, packs })
  } finally {
    uploadKey.fill(0)
  }
  return waitUntilSealed(context, created.id)
}

/** Its key is handed out once: where the answer that held it was lost, only another upload helps; the first one expires. */
const createUpload = async (client: SubscriptionClient, application: string, request: UploadRequest): Promise<UploadCreated> => {
  try {
    return await client.createUpload(application, request)
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== 'upload_key_already_handed_out') throw error
    return client.createUpload(application, request)
  }
}

type OpenUpload = { readonly id: string; readonly key: Buffer; readonly application: string }

const sendContent = (context: PublishContext, upload: OpenUpload, folder: HashedFolder): Promise<UploadPack[]> => {
  const { client, clock, progress } = context
  const startedAt = clock.now().getTime()
  const sent = new Map<string, number>()
  let files = 0
  const show = () => {
    const bytes = [...sent.values()].reduce((sum, each) => sum + each, 0)
    const elapsedMs = clock.now().getTime() - startedAt
    progress.show(
      `sending: ${files} of ${counted(folder.files.length, 'file')} sealed, ${byteText(bytes)} sent (${rateText(bytes, elapsedMs)})`
    )
  }
  return sendPacks({
    folder,
    uploadKey: upload.key,
    subscription: client.subscription,
    application: upload.application,
    onFile: () => {
      files++
      show()
    },
    send: ({ pack, size, sha256, bytes }, signal) =>
      putBytes({
        what: `pack ${pack}`,
        bytes,
        clock,
        signal,
        onSent: (count) => {
          sent.set(pack, count)
          show()
        },
        target: async () => targetOf((await client.presignPacks(upload.id, { packs: [{ pack, size, sha256 }] })).packs[0])
      })
  })
}

/** Answers the digest of the manifest, by which the version will be known. */
const sendManifest = async ({ client, clock }: PublishContext, upload: OpenUpload, folder: HashedFolder): Promise<string> => {
  const text = canonicalJson(manifestOf(folder, client.subscription, upload.application))
  const context = {
    purpose: 'upload-manifest',
    subscription: client.subscription,
    application: upload.application,
    upload: upload.id
  }
  const bytes = await sealWithKey(upload.key, context, Buffer.from(text))
  const manifest = { size: bytes.length, sha256: sha256Hex(bytes) }
  await putBytes({
    what: 'the manifest',
    bytes,
    clock,
    signal: new AbortController().signal,
    onSent: () => undefined,
    target: async () => targetOf((await client.presignPacks(upload.id, { packs: [], manifest })).manifest)
  })
  return sha256Hex(text)
}

const waitUntilSealed = async ({ client, clock, progress }: PublishContext, upload: string): Promise<Published> => {
  const ended = await waitFor({
    clock,
    deadlineMs: sealingMsMax,
    look: async (): Promise<Upload | undefined> => {
      progress.show('waiting until the platform has verified and sealed it')
      const { state, ...rest } = await client.upload(upload)
      return state === 'sealed' || state === 'refused' ? { state, ...rest } : undefined
    },
    late: () =>
      new CliError(
        'not_sealed_in_time',
        `the upload ${upload} was not sealed within ${sealingMsMax / 60_000} minutes; it may still be`
      )
  })
  if (ended.state === 'refused' || ended.version === undefined) {
    const { code, message } = ended.refusal ?? { code: 'refused', message: 'no reason was given' }
    throw new CliError(code, `the upload was refused: ${message}; no version was made`)
  }
  const { version, schedule, refusal } = ended
  return { upload, version, ...(schedule && { schedule }), ...(refusal && { refusal }) }
}

const targetOf = (target: PutTarget | undefined): PutTarget => {
  if (!target) throw new CliError('bad_answer', 'the API did not say where to send what it was asked about; no version was made')
  return target
}
