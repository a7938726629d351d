import { type Static, Type } from 'typebox'
import { Digest, Instant, PackId, Uuid } from '../fields.ts'
import { BuildChoice } from './builds.ts'
import { Reason } from './common.ts'
import { ScheduleItem } from './schedules.ts'

/** What to start as soon as the upload is sealed. */
export const UploadDeploy = Type.Object({ deployment: Uuid, build: Type.Optional(BuildChoice) }, { additionalProperties: false })
export type UploadDeploy = Static<typeof UploadDeploy>

export const UploadRequest = Type.Object(
  {
    note: Type.Optional(Type.String({ maxLength: 1000 })),
    files: Type.Integer({ minimum: 1 }),
    bytes: Type.Integer({ minimum: 0 }),
    deploy: Type.Optional(UploadDeploy)
  },
  { additionalProperties: false }
)
export type UploadRequest = Static<typeof UploadRequest>

/** `key` (base64 of 32 bytes) is handed out here and nowhere else; lost means a new upload. */
export const UploadCreated = Type.Object(
  {
    id: Uuid,
    key: Type.String(),
    expiresAt: Instant,
    limits: Type.Object(
      { filesMax: Type.Integer(), bytesMax: Type.Integer(), packBytesMax: Type.Integer() },
      { additionalProperties: false }
    )
  },
  { additionalProperties: false }
)
export type UploadCreated = Static<typeof UploadCreated>

export const UploadPack = Type.Object(
  { pack: PackId, size: Type.Integer({ minimum: 1 }), sha256: Digest },
  { additionalProperties: false }
)
export type UploadPack = Static<typeof UploadPack>

const UploadManifest = Type.Object({ size: Type.Integer({ minimum: 1 }), sha256: Digest }, { additionalProperties: false })

/** Asks for the URLs to which these packs (and the sealed manifest) may be put. Ask again for fresh ones. */
export const UploadPacksRequest = Type.Object(
  { packs: Type.Array(UploadPack, { maxItems: 256 }), manifest: Type.Optional(UploadManifest) },
  { additionalProperties: false }
)
export type UploadPacksRequest = Static<typeof UploadPacksRequest>

const presigned = { method: Type.Literal('PUT'), url: Type.String(), headers: Type.Record(Type.String(), Type.String()) }

export const UploadPacksAnswer = Type.Object(
  {
    packs: Type.Array(Type.Object({ pack: PackId, ...presigned }, { additionalProperties: false })),
    manifest: Type.Optional(Type.Object(presigned, { additionalProperties: false }))
  },
  { additionalProperties: false }
)
export type UploadPacksAnswer = Static<typeof UploadPacksAnswer>

/** Everything is in the staging store: `manifest` is the digest of the manifest's canonical JSON. */
export const UploadFinishRequest = Type.Object(
  { manifest: Digest, packs: Type.Array(UploadPack, { maxItems: 10_000 }) },
  { additionalProperties: false }
)
export type UploadFinishRequest = Static<typeof UploadFinishRequest>

export const UploadState = Type.Union([
  Type.Literal('open'),
  Type.Literal('finishing'),
  Type.Literal('sealed'),
  Type.Literal('refused')
])
export type UploadState = Static<typeof UploadState>

export const Upload = Type.Object(
  {
    id: Uuid,
    application: Uuid,
    state: UploadState,
    version: Type.Optional(Type.Integer({ minimum: 1 })),
    refusal: Type.Optional(Reason),
    schedule: Type.Optional(ScheduleItem)
  },
  { additionalProperties: false }
)
export type Upload = Static<typeof Upload>
