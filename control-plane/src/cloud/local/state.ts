import { BirthRecord, IdentityRange } from '@berth/shared/birth'
import { StoreName } from '@berth/shared/fields'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { jsonParser, parser } from '@berth/shared/parse'
import { type Static, Type } from 'typebox'
import { Endpoint, Network } from './network.ts'

const FleetSpec = Type.Object(
  { fleet: StoreName, servers: Type.Integer({ minimum: 0, maximum: 64 }), birth: BirthRecord },
  { additionalProperties: false }
)
export const parseFleetSpec = parser(FleetSpec, 'a fleet')

const Process = Type.Object({ pid: Type.Integer({ minimum: 1 }), startTime: Type.String() }, { additionalProperties: false })

const FleetRow = Type.Object(
  {
    spec: FleetSpec,
    ...Endpoint.properties,
    /** All its first servers have been healthy. */
    active: Type.Boolean(),
    deleting: Type.Boolean()
  },
  { additionalProperties: false }
)
export type FleetRow = Static<typeof FleetRow>

const ServerRow = Type.Object(
  {
    fleet: StoreName,
    zone: Type.String(),
    ...Endpoint.properties,
    /** The operating-system identities that are its alone: all servers share this machine's. */
    identities: Type.Optional(IdentityRange),
    /** Its folder was made whole once. */
    born: Type.Boolean(),
    /** It has been healthy once. */
    proven: Type.Boolean(),
    /** It gets no new connection; from this on (milliseconds) it may serve those it has, for a time. */
    retiredAtMs: Type.Optional(Type.Integer()),
    /** The processes that its folder told of when it was last read: what there is to end should the folder vanish. */
    processes: Type.Array(Process)
  },
  { additionalProperties: false }
)
export type ServerRow = Static<typeof ServerRow>

/** Everything that the supervisor must remember; whatever can be observed is not in here. */
export const CloudState = Type.Object(
  {
    format: Type.Literal(1),
    network: Network,
    /** Servers born so far, and where their names began: a name never comes twice. */
    births: Type.Integer({ minimum: 0 }),
    firstName: Type.Integer({ minimum: 0, maximum: 0xffffffff }),
    fleets: Type.Record(StoreName, FleetRow),
    servers: Type.Record(StoreName, ServerRow)
  },
  { additionalProperties: false }
)
export type CloudState = Static<typeof CloudState>
/** Parses what is on disk; a damaged file stops the supervisor instead of making it forget its servers. */
export const parseState = jsonParser(CloudState, "the local cloud's state.json", 'bad_state')

// Odd, so that multiplying by it goes through all 2^32 names before one comes again.
const nameStep = 0x9e3779b1

/** The name of the n-th server: looks like any other, and is nobody else's. */
export const serverName = ({ births, firstName }: Pick<CloudState, 'births' | 'firstName'>): string =>
  `s-${((firstName + Math.imul(births, nameStep)) >>> 0).toString(16).padStart(8, '0')}`

/** One JSON file that is changed as a whole, one change after the other. */
export const stateFile = <T>(file: string, first: T) => {
  let current = first
  let text = JSON.stringify(first)
  let writing: Promise<unknown> = Promise.resolve()

  return {
    now: (): T => current,
    /** Makes the change durable before it is seen. `change` may answer the same value: then nothing is written. */
    update: (change: (value: T) => T | Promise<T>): Promise<T> => {
      const next = writing.then(async () => {
        const value = await change(current)
        const changed = JSON.stringify(value)
        if (changed !== text) await writeFileAtomic(file, changed)
        current = value
        text = changed
        return value
      })
      writing = next.catch(() => undefined)
      return next
    }
  }
}
export type StateFile<T> = ReturnType<typeof stateFile<T>>

/** Reads what was written before, or begins with what `begin` makes and puts that on disk. */
export const openStateFile = async <T>(file: string, parse: (text: string) => T, begin: () => Promise<T>) => {
  const written = await readTextIfThere(file)
  if (written !== undefined) return stateFile(file, parse(written))
  const first = await begin()
  await writeFileAtomic(file, JSON.stringify(first))
  return stateFile(file, first)
}
