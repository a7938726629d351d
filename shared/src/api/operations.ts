import { type Static, Type } from 'typebox'
import { Instant, Uuid } from '../fields.ts'
import { ListOf, Reason } from './common.ts'

export const OperationKind = Type.Union([
  Type.Literal('deploy'),
  Type.Literal('rollback'),
  Type.Literal('disable'),
  Type.Literal('enable')
])
export type OperationKind = Static<typeof OperationKind>

/** The first three are open: each is left within a stated time, or `blocker` names what holds it. */
export const OperationState = Type.Union([
  Type.Literal('queued'),
  Type.Literal('preparing'),
  Type.Literal('switching'),
  Type.Literal('live'),
  Type.Literal('failed'),
  Type.Literal('superseded')
])
export type OperationState = Static<typeof OperationState>

export const OperationStep = Type.Object({ state: OperationState, at: Instant }, { additionalProperties: false })
export type OperationStep = Static<typeof OperationStep>

export const Operation = Type.Object(
  {
    id: Uuid,
    deployment: Uuid,
    kind: OperationKind,
    release: Type.Union([Uuid, Type.Null()]),
    version: Type.Union([Type.Integer(), Type.Null()]),
    state: OperationState,
    reason: Type.Optional(Reason),
    blocker: Type.Optional(Type.String()),
    createdAt: Instant,
    startedAt: Type.Optional(Instant),
    finishedAt: Type.Optional(Instant),
    /** Of the fleet's servers: how many have it ready, and how many send requests to it. */
    progress: Type.Object({ ready: Type.Integer(), routed: Type.Integer(), of: Type.Integer() }, { additionalProperties: false }),
    steps: Type.Array(OperationStep)
  },
  { additionalProperties: false }
)
export type Operation = Static<typeof Operation>
export const OperationList = ListOf(Operation)
export type OperationList = Static<typeof OperationList>

export const OperationQuery = Type.Object({ deployment: Type.Optional(Uuid) }, { additionalProperties: false })
