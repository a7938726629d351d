import { type Static, Type } from 'typebox'
import { Digest, Uuid } from './fields.ts'
import { jsonParser } from './parse.ts'

/** A file up to this size is one piece; a larger one is cut into slices of `sliceBytes`. */
export const pieceBytesMax = 8 * 1024 * 1024
export const sliceBytes = 4 * 1024 * 1024

export const ManifestFile = Type.Object(
  {
    /** Relative, `/`-separated, NFC; see `paths.ts` for what is refused. */
    path: Type.String({ minLength: 1, maxLength: 1024 }),
    size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    executable: Type.Boolean(),
    /** SHA-256 of each piece in order. An empty file has one piece, of nothing. */
    pieces: Type.Array(Digest, { minItems: 1 })
  },
  { additionalProperties: false }
)
export type ManifestFile = Static<typeof ManifestFile>

/** What a version is: its files, by path in ascending order of UTF-16 code units. Its digest is that of its canonical JSON. */
export const Manifest = Type.Object(
  {
    format: Type.Literal(1),
    subscription: Uuid,
    application: Uuid,
    files: Type.Array(ManifestFile, { minItems: 1, maxItems: 200_000 })
  },
  { additionalProperties: false }
)
export type Manifest = Static<typeof Manifest>

export const parseManifest = jsonParser(Manifest, 'the manifest', 'bad_manifest')

/** What the sealer signs for version `number`. */
export const ManifestStatement = Type.Object(
  { subscription: Uuid, application: Uuid, number: Type.Integer({ minimum: 1 }), manifest: Digest },
  { additionalProperties: false }
)
export type ManifestStatement = Static<typeof ManifestStatement>
export const parseManifestStatement = jsonParser(ManifestStatement, 'a manifest statement', 'bad_manifest')
