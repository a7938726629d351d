import { type Static, Type } from 'typebox'
import { Tenancy } from '../birth.ts'
import { Instant, StoreName } from '../fields.ts'
import { ListOf } from './common.ts'

export const FleetStatus = Type.Union([Type.Literal('creating'), Type.Literal('active'), Type.Literal('deleting')])
export type FleetStatus = Static<typeof FleetStatus>

export const MemberState = Type.Union([
  Type.Literal('starting'),
  Type.Literal('healthy'),
  Type.Literal('unhealthy'),
  Type.Literal('stopping')
])
export type MemberState = Static<typeof MemberState>

/** A server as the cloud knows it, and what its own last report adds. */
export const FleetMember = Type.Object(
  {
    server: Type.String(),
    zone: Type.String(),
    state: MemberState,
    ready: Type.Optional(Type.Boolean()),
    generation: Type.Optional(Type.Integer()),
    reportedAt: Type.Optional(Instant)
  },
  { additionalProperties: false }
)
export type FleetMember = Static<typeof FleetMember>

export const Fleet = Type.Object(
  {
    id: StoreName,
    name: Type.String(),
    tenancy: Tenancy,
    region: Type.String(),
    cell: Type.String(),
    status: FleetStatus,
    servers: Type.Integer(),
    generation: Type.Integer(),
    revision: Type.Integer(),
    /** An operator said that the head is gone from the object store for good; ends with the next head. */
    headLost: Type.Boolean(),
    balancer: Type.Union([Type.String(), Type.Null()]),
    members: Type.Array(FleetMember)
  },
  { additionalProperties: false }
)
export type Fleet = Static<typeof Fleet>
export const FleetList = ListOf(Fleet)
export type FleetList = Static<typeof FleetList>

export const FleetParams = Type.Object({ fleet: StoreName }, { additionalProperties: false })
