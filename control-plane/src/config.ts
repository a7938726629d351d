import { packBytesMax } from '@berth/shared/packs/pack'
import { parser } from '@berth/shared/parse'
import { Refusal } from '@berth/shared/refusal'
import { type Static, Type } from 'typebox'

const Text = (value: string) => Type.String({ minLength: 1, maxLength: 64, default: value })
const Count = (value: number, maximum: number) => Type.Integer({ minimum: 1, maximum, default: value })

/** Every environment variable that the API reads, all optional; whoever deploys it may set exactly these. */
export const ControlPlaneEnv = Type.Object(
  {
    /** Generated host names end in it. */
    BERTH_DOMAIN: Type.String({ pattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)*$', maxLength: 200, default: 'localhost' }),
    BERTH_REGION: Text('local'),
    /** Of the servers: only builds for it are chosen. */
    BERTH_PLATFORM: Type.String({ pattern: '^[a-z0-9]+-[a-z0-9]+$', maxLength: 32, default: 'linux-x64' }),
    /** Where sites are reached by people, for the addresses that answers hold. */
    BERTH_ENTRY_SCHEME: Type.Union([Type.Literal('http'), Type.Literal('https')], { default: 'http' }),
    BERTH_ENTRY_PORT: Count(8080, 65_535),
    BERTH_UPLOAD_FILES_MAX: Count(50_000, 200_000),
    BERTH_UPLOAD_BYTES_MAX: Count(2 * 1024 ** 3, 1024 ** 4),
    /** Of one subscription, at once. */
    BERTH_UPLOADS_OPEN_MAX: Count(50, 10_000),
    BERTH_UPLOAD_HOURS: Count(24, 24),
    BERTH_SESSION_DAYS: Count(30, 90),
    BERTH_CLI_LATEST: Text('0.1.0'),
    BERTH_CLI_MINIMUM: Text('0.1.0')
  },
  { additionalProperties: false }
)
export type ControlPlaneEnv = Static<typeof ControlPlaneEnv>

/** What the API is told when it is made. A bad value stops the start and names its variable. */
export const readConfig = (environment: Readonly<Record<string, string | undefined>>) => {
  const env = parse(
    Object.fromEntries(
      Object.entries(ControlPlaneEnv.properties).map(([name, schema]) => [name, read(name, schema, environment)])
    )
  )
  return {
    version: '0.1.0',
    domain: env.BERTH_DOMAIN,
    region: env.BERTH_REGION,
    platform: env.BERTH_PLATFORM,
    entry: { scheme: env.BERTH_ENTRY_SCHEME, port: env.BERTH_ENTRY_PORT },
    uploads: {
      filesMax: env.BERTH_UPLOAD_FILES_MAX,
      bytesMax: env.BERTH_UPLOAD_BYTES_MAX,
      packBytesMax,
      openMax: env.BERTH_UPLOADS_OPEN_MAX,
      seconds: env.BERTH_UPLOAD_HOURS * 3600
    },
    sessionSeconds: env.BERTH_SESSION_DAYS * 86_400,
    cli: { latest: env.BERTH_CLI_LATEST, minimum: env.BERTH_CLI_MINIMUM }
  } as const
}
export type ApiConfig = ReturnType<typeof readConfig>

const parse = parser(ControlPlaneEnv, 'a setting', 'bad_setting')

const read = (name: string, schema: object, environment: Readonly<Record<string, string | undefined>>): unknown => {
  const text = environment[name]
  if (text === undefined || text === '') return 'default' in schema ? schema.default : undefined
  if (!('type' in schema && schema.type === 'integer')) return text
  if (!/^\d{1,15}$/.test(text)) throw new Refusal('bad_setting', `${name} must be a whole number, not ${JSON.stringify(text)}`)
  return Number(text)
}
