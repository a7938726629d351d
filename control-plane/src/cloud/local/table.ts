import { HostName, StoreName } from '@berth/shared/fields'
import { jsonParser, parser } from '@berth/shared/parse'
import { type Static, Type } from 'typebox'
import { Endpoint } from './network.ts'

const TableServer = Type.Object(
  {
    server: StoreName,
    ...Endpoint.properties,
    /** Not routed: it keeps the connections that it has and gets no new one. */
    routed: Type.Boolean(),
    /** It has been healthy before, perhaps under an earlier balancer: it may be tried when no server is healthy. */
    proven: Type.Boolean()
  },
  { additionalProperties: false }
)

/** All that the balancer knows. It keeps this on disk, and the supervisor swaps it as a whole. */
export const BalancerTable = Type.Object(
  {
    format: Type.Literal(1),
    /** Listened on for nothing but to show other local clouds that these addresses are taken. */
    claim: Type.Optional(Endpoint),
    entry: Type.Object(
      { port: Type.Integer({ minimum: 1, maximum: 65_535 }), addresses: Type.Array(Type.String(), { maxItems: 4 }) },
      { additionalProperties: false }
    ),
    fleets: Type.Array(
      Type.Object({ fleet: StoreName, ...Endpoint.properties, servers: Type.Array(TableServer) }, { additionalProperties: false })
    ),
    names: Type.Record(HostName, StoreName)
  },
  { additionalProperties: false }
)
export type BalancerTable = Static<typeof BalancerTable>
export type TableServer = Static<typeof TableServer>
export const parseTable = parser(BalancerTable, "the balancer's table", 'bad_table')
export const parseTableText = jsonParser(BalancerTable, "the balancer's table", 'bad_table')

const Listening = Type.Object(
  {
    ...Endpoint.properties,
    listening: Type.Boolean(),
    /** The system's code for why nobody listens there. */
    problem: Type.Optional(Type.String())
  },
  { additionalProperties: false }
)

/** What the balancer says of itself. */
export const BalancerState = Type.Object(
  {
    /** Digest of the table that it works by. */
    table: Type.String(),
    entry: Type.Array(Listening),
    fleets: Type.Record(StoreName, Listening),
    servers: Type.Record(
      StoreName,
      Type.Object(
        {
          health: Type.Union([Type.Literal('starting'), Type.Literal('healthy'), Type.Literal('unhealthy')]),
          connections: Type.Integer({ minimum: 0 })
        },
        { additionalProperties: false }
      )
    )
  },
  { additionalProperties: false }
)
export type BalancerState = Static<typeof BalancerState>
export type Listening = Static<typeof Listening>
export const parseBalancerState = parser(BalancerState, "the balancer's state")

/** A connection that ended because the server behind it was gone. */
export const Aborted = Type.Object(
  {
    /** Milliseconds since the epoch. */
    at: Type.Integer(),
    /** The port of the client that was connected to us, by which the client knows its connection again. */
    clientPort: Type.Integer(),
    fleet: StoreName,
    server: StoreName,
    bytesFromServer: Type.Integer({ minimum: 0 }),
    /** How it ended: the server's system closed it in order, or reset it. */
    reason: Type.Union([Type.Literal('closed'), Type.Literal('reset')])
  },
  { additionalProperties: false }
)
export type Aborted = Static<typeof Aborted>
export const parseAborted = parser(Type.Array(Aborted), 'the aborted connections')
