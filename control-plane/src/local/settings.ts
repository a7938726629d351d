import { resolve } from 'node:path'
import { parser } from '@berth/shared/parse'
import { Refusal } from '@berth/shared/refusal'
import { type Static, Type } from 'typebox'

const Port = (port: number) => Type.Integer({ minimum: 0, maximum: 65_535, default: port })

/** Every variable that `npm start` reads; `docs/settings.md` says what each is for. */
const LocalSettings = Type.Object(
  {
    BERTH_HOME: Type.Optional(Type.String({ minLength: 1 })),
    BERTH_API_PORT: Port(7010),
    BERTH_HTTP_PORT: Port(8080),
    BERTH_SERVERS: Type.Integer({ minimum: 1, maximum: 50, default: 2 }),
    BERTH_PROFILE: Type.Optional(Type.String({ minLength: 1 })),
    BERTH_DOMAIN: Type.String({ pattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)*$', default: 'localhost' }),
    BERTH_STORE_LATENCY_MS: Type.Integer({ minimum: 0, maximum: 10_000, default: 0 }),
    BERTH_HEAD_VALIDITY_SECONDS: Type.Integer({ minimum: 1, maximum: 30 * 86_400, default: 86_400 }),
    BERTH_MACHINE: Type.Integer({ minimum: 0, maximum: 1, default: 0 })
  },
  { additionalProperties: false }
)
export type LocalSettings = Static<typeof LocalSettings>

const parse = parser(LocalSettings, 'a setting', 'bad_setting')

/** Reads the settings once; a bad value stops the start and names its variable. */
export const readSettings = (environment: Readonly<Record<string, string | undefined>>): LocalSettings => {
  const entries = Object.entries(LocalSettings.properties).flatMap(([name, schema]) => {
    const text = environment[name]
    if (text === undefined || text === '') return 'default' in schema ? [[name, schema.default]] : []
    if (schema.type !== 'integer') return [[name, text]]
    if (!/^\d{1,9}$/.test(text)) throw new Refusal('bad_setting', `${name} must be a whole number, not ${JSON.stringify(text)}`)
    return [[name, Number(text)]]
  })
  return parse(Object.fromEntries(entries))
}

/** Settings name folders as the caller sees them. */
export const homeOf = ({ BERTH_HOME }: LocalSettings, workingFolder: string): string | undefined =>
  BERTH_HOME === undefined ? undefined : resolve(workingFolder, BERTH_HOME)
