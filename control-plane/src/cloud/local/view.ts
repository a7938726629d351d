import { StoreName } from '@berth/shared/fields'
import { parser } from '@berth/shared/parse'
import { type Static, Type } from 'typebox'
import { Endpoint } from './network.ts'
import { BalancerState } from './table.ts'

const Process = Type.Object({ pid: Type.Integer(), startTime: Type.String() })

const MemberView = Type.Object({
  server: StoreName,
  zone: Type.String(),
  state: Type.Union([Type.Literal('starting'), Type.Literal('healthy'), Type.Literal('unhealthy'), Type.Literal('stopping')]),
  ...Endpoint.properties,
  folder: Type.String(),
  /** Service → its process, when it runs. */
  services: Type.Record(Type.String(), Type.Union([Process, Type.Null()])),
  connections: Type.Integer(),
  /** What keeps the server from being as it shall be. */
  problem: Type.Optional(Type.String())
})
export type MemberView = Static<typeof MemberView>

/** Everything that the supervisor answers about its cloud. */
export const CloudView = Type.Object({
  supervisor: Process,
  balancer: Type.Union([Process, Type.Null()]),
  entry: BalancerState.properties.entry,
  fleets: Type.Record(
    StoreName,
    Type.Object({
      state: Type.Union([Type.Literal('creating'), Type.Literal('active'), Type.Literal('deleting')]),
      /** How many servers it shall have. */
      servers: Type.Integer(),
      /** `address:port` */
      balancer: Type.String(),
      members: Type.Array(MemberView)
    })
  )
})
export type CloudView = Static<typeof CloudView>
export const parseCloudView = parser(CloudView, "the local cloud's state")
