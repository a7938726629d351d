import { MachineIdentity } from '@berth/shared/birth'
import { jsonParser } from '@berth/shared/parse'
import { type Static, Type } from 'typebox'

/** The zones of the local cloud: names only, but servers are spread over them as they would be over real ones. */
export const zones = ['local-a', 'local-b', 'local-c'] as const

const Service = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z][a-z-]{0,31}$' }),
    command: Type.String({ minLength: 1 }),
    /** The server's folder is passed as one more argument after these. */
    args: Type.Array(Type.String())
  },
  { additionalProperties: false }
)
export type Service = Static<typeof Service>

/** What the supervisor of a local cloud is told by whoever starts it; kept in its folder, so that it can be started again. */
export const SupervisorSettings = Type.Object(
  {
    /** The Node that runs the supervisor and the balancer. */
    node: Type.String({ minLength: 1 }),
    /** The whole environment of the supervisor, the balancer and every service. */
    env: Type.Record(Type.String(), Type.String()),
    /** Where a server finds the object store. */
    objects: MachineIdentity.properties.objects,
    /** Where the key files of all fleets lie; a server gets a copy of its own fleet's. */
    keysFolder: Type.String({ minLength: 1 }),
    pollMs: MachineIdentity.properties.pollMs,
    /** Where the entry listens, on 127.0.0.1 and ::1. */
    httpPort: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** What runs on every server. The one that is called `front` answers on the server's address and port. */
    services: Type.Array(Service, { minItems: 1, maxItems: 8 }),
    /** How long a server that leaves may go on serving the connections it has. */
    drainMs: Type.Integer({ minimum: 0, maximum: 600_000 }),
    /** How long a process has from SIGTERM to SIGKILL. */
    stopGraceMs: Type.Integer({ minimum: 0, maximum: 600_000 }),
    /** `own` gives every server an address of its own, `single` a port of 127.0.0.1; without it, whatever the system can do. */
    loopback: Type.Optional(Type.Union([Type.Literal('own'), Type.Literal('single')]))
  },
  { additionalProperties: false }
)
export type SupervisorSettings = Static<typeof SupervisorSettings>
export const parseSupervisorSettings = jsonParser(SupervisorSettings, 'the settings of the local cloud', 'bad_settings')
