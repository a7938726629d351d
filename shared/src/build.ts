import { type Static, Type } from 'typebox'
import { Digest } from './fields.ts'
import { jsonParser } from './parse.ts'

export const BuildName = Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' })
export const BuildVersion = Type.String({ pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+(-[A-Za-z0-9.]+)?$', maxLength: 64 })
/** `linux-x64`, `darwin-arm64`, `windows-x64`: Node's platform and architecture names. */
export const Platform = Type.String({ pattern: '^[a-z0-9]+-[a-z0-9]+$', maxLength: 32 })

/** One build of an application server for one platform; `digest` is that of the `.tar.zst`. */
export const BuildRef = Type.Object(
  { name: BuildName, version: BuildVersion, platform: Platform, digest: Digest },
  { additionalProperties: false }
)
export type BuildRef = Static<typeof BuildRef>

/**
 * What the vendor signs. The archive's root holds `build.json` (see `BuildDescription`); a build may need another one
 * beside it: `static` is a script of ours on the `node` build.
 */
export const BuildStatement = Type.Object(
  {
    name: BuildName,
    version: BuildVersion,
    platform: Platform,
    size: Type.Integer({ minimum: 1 }),
    digest: Digest,
    requires: Type.Array(BuildRef, { maxItems: 4 })
  },
  { additionalProperties: false }
)
export type BuildStatement = Static<typeof BuildStatement>
export const parseBuildStatement = jsonParser(BuildStatement, 'a build statement', 'bad_build')

/**
 * `build.json` inside the archive: how a worker of this build is started. `{build}` is the folder where this build lies,
 * `{requires:<name>}` that of a required one, `{release}` the release's folder. The worker gets HOST and PORT.
 */
export const BuildDescription = Type.Object(
  {
    format: Type.Literal(1),
    command: Type.Array(Type.String({ maxLength: 1024 }), { minItems: 1, maxItems: 16 }),
    /** Files relative to the release that say which script to run: `node` reads the first of these that exists. */
    entry: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 8 }))
  },
  { additionalProperties: false }
)
export type BuildDescription = Static<typeof BuildDescription>
export const parseBuildDescription = jsonParser(BuildDescription, 'build.json', 'bad_build')
