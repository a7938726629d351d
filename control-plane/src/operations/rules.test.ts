import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { OperationKind } from '@berth/shared/api/operations'
import { defaultProbe } from '@berth/shared/fields'
import fc from 'fast-check'
import { advance, bake, boundMs, canMove, type Facts, isOpen, type MemberFacts, type Operation, queuedMsMax } from './rules.ts'

const digest = 'a'.repeat(64)
const other = 'b'.repeat(64)
const reason = { code: 'exited', message: 'the worker exited with code 1' }

const report = (values: Partial<NonNullable<MemberFacts['report']>> = {}): NonNullable<MemberFacts['report']> => ({
  answers: true,
  routed: other,
  pool: undefined,
  reason: undefined,
  fellBack: false,
  ...values
})
const member = (server: string, said?: Partial<NonNullable<MemberFacts['report']>>): MemberFacts => ({
  server,
  healthy: true,
  report: said && report(said)
})
const facts = (values: Partial<Facts> = {}): Facts => ({
  release: { status: 'packaged', reason: undefined, digest, probe: defaultProbe, place: 'nowhere' },
  placed: true,
  disabled: false,
  warm: true,
  members: [],
  readableSinceMs: 0,
  ...values
})
const at = (state: Operation['state'], kind: OperationKind = 'deploy'): Operation => ({ kind, state, stateSinceMs: 0 })

const anyReport = fc.record({
  answers: fc.boolean(),
  routed: fc.constantFrom(digest, other, null),
  pool: fc.constantFrom('preparing', 'ready', 'frozen', 'failed', undefined),
  reason: fc.constantFrom(reason, undefined),
  fellBack: fc.boolean()
})
const anyMembers = fc.array(
  fc.record({
    server: fc.string({ minLength: 1, maxLength: 4 }),
    healthy: fc.boolean(),
    report: fc.option(anyReport, { nil: undefined })
  }),
  { maxLength: 5 }
)
const anyFacts: fc.Arbitrary<Facts> = fc.record({
  release: fc.option(
    fc.record({
      status: fc.constantFrom('requested', 'packaged', 'failed'),
      reason: fc.constantFrom('no such version', undefined),
      digest: fc.constantFrom(digest, undefined),
      probe: fc.constant(defaultProbe),
      place: fc.constantFrom('current', 'warm', 'nowhere')
    }),
    { nil: undefined }
  ),
  placed: fc.boolean(),
  disabled: fc.boolean(),
  warm: fc.boolean(),
  members: anyMembers,
  readableSinceMs: fc.integer({ min: 0, max: 1000 })
})
const anyKind = fc.constantFrom<OperationKind>('deploy', 'rollback', 'disable', 'enable')

/** The state that a step leads to. */
const after = (operation: Operation, facts: Facts, nowMs: number): Operation => {
  const step = advance(operation, facts, nowMs)
  const next = {
    wait: operation.state,
    prepare: 'preparing',
    switch: 'switching',
    complete: 'live',
    fail: 'failed',
    'roll-back': 'failed'
  } as const
  const state = next[step.kind]
  if (state !== operation.state) assert.ok(canMove(operation.state, state), `${operation.state} → ${state}`)
  return state === operation.state ? operation : { ...operation, state, stateSinceMs: nowMs }
}

describe('an operation', () => {
  it('ends within the bounds of its states, whatever servers report or fail to report', () => {
    fc.assert(
      fc.property(anyKind, fc.array(anyFacts, { minLength: 1, maxLength: 12 }), (kind, course) => {
        let operation = at('queued', kind)
        let nowMs = 1000
        for (let look = 0; look < 100 && isOpen(operation.state); look++) {
          operation = after(operation, course[look % course.length] ?? facts(), nowMs)
          nowMs += queuedMsMax / 4
        }
        assert.equal(isOpen(operation.state), false)
      })
    )
  })

  it('is never live unless every healthy server routes its release, and there is one', () => {
    fc.assert(
      fc.property(fc.constantFrom<OperationKind>('deploy', 'rollback', 'enable'), anyFacts, fc.nat(), (kind, seen, nowMs) => {
        const step = advance(at('switching', kind), seen, nowMs)
        if (step.kind !== 'complete' || seen.release?.digest === undefined) return
        const healthy = seen.members.filter((one) => one.healthy)
        assert.ok(healthy.length > 0)
        assert.ok(healthy.every((one) => one.report?.answers && one.report.routed === seen.release?.digest))
      })
    )
  })

  it('never switches unless every healthy server has the release ready, and there is one', () => {
    fc.assert(
      fc.property(anyKind, anyFacts, fc.nat(), (kind, seen, nowMs) => {
        if (advance(at('preparing', kind), seen, nowMs).kind !== 'switch') return
        const healthy = seen.members.filter((one) => one.healthy)
        assert.ok(healthy.length > 0)
        assert.ok(healthy.every((one) => one.report?.answers && one.report.pool === 'ready'))
      })
    )
  })

  it('names what blocks it whenever it waits', () => {
    fc.assert(
      fc.property(
        anyKind,
        fc.constantFrom('queued', 'preparing', 'switching'),
        anyFacts,
        fc.nat(),
        (kind, state, seen, nowMs) => {
          const step = advance(at(state, kind), seen, nowMs)
          if (step.kind === 'wait') assert.ok(step.blocker)
        }
      )
    )
  })

  it('that is over stays as it is', () => {
    for (const state of ['live', 'failed', 'superseded'] as const)
      assert.deepEqual(advance(at(state), facts(), 1e12), { kind: 'wait', blocker: null })
  })

  it('waits for its package, and says when no fleet has taken the site', () => {
    const requested = {
      status: 'requested',
      reason: undefined,
      digest: undefined,
      probe: defaultProbe,
      place: 'nowhere'
    } as const
    assert.deepEqual(advance(at('queued'), facts({ release: requested }), 5), {
      kind: 'wait',
      blocker: 'the release is being packaged'
    })
    const unplaced = advance(at('queued'), facts({ release: requested, placed: false }), 5)
    assert.deepEqual(unplaced, { kind: 'wait', blocker: 'no active fleet has taken the site yet' })
    assert.equal(advance(at('queued'), facts(), 5).kind, 'prepare')
  })

  it('back to a warm release needs no preparation; back to a cold one does', () => {
    const release = facts().release
    assert.ok(release)
    assert.equal(advance(at('queued', 'rollback'), facts({ release: { ...release, place: 'warm' } }), 5).kind, 'switch')
    assert.equal(advance(at('queued', 'rollback'), facts(), 5).kind, 'prepare')
  })

  it('fails its preparation when two servers fail it, or all that report; one of several may be sick and is named', () => {
    const broken = { pool: 'failed', reason } as const
    const verdicts = [
      [[member('s-1', broken)], 'fail'],
      [[member('s-1', broken), member('s-2')], 'fail'],
      [[member('s-1', broken), member('s-2', broken), member('s-3', { pool: 'ready' })], 'fail'],
      [[member('s-1', broken), member('s-2', { pool: 'ready' })], 'wait']
    ] as const
    for (const [members, kind] of verdicts) assert.equal(advance(at('preparing'), facts({ members }), 5).kind, kind)
    const waiting = advance(at('preparing'), facts({ members: verdicts[3][0] }), 5)
    assert.deepEqual(waiting, { kind: 'wait', blocker: 'server s-1 failed it: the worker exited with code 1' })
  })

  it('goes back when two servers fell back, or the only one that serves, and only where something warm is there', () => {
    const fellBack = { fellBack: true, reason }
    const both = [member('s-1', fellBack), member('s-2', fellBack), member('s-3', { routed: digest })]
    assert.equal(advance(at('switching'), facts({ members: both }), 5).kind, 'roll-back')
    assert.equal(advance(at('switching'), facts({ members: both.slice(1) }), 5).kind, 'wait')
    assert.equal(advance(at('switching'), facts({ members: both, warm: false }), 5).kind, 'wait')
    assert.equal(advance(at('switching'), facts({ members: both.slice(1, 2) }), 5).kind, 'roll-back')
    assert.equal(bake({ warm: true, members: both, bakeUntilMs: 10 }, 20).kind, 'roll-back')
    assert.equal(bake({ warm: true, members: both.slice(1, 2), bakeUntilMs: 10 }, 5).kind, 'roll-back')
    assert.equal(bake({ warm: true, members: both.slice(1), bakeUntilMs: 10 }, 5).kind, 'wait')
    assert.equal(bake({ warm: true, members: both.slice(1), bakeUntilMs: 10 }, 10).kind, 'end')
  })

  it('never goes back on the word of one server of several, though the others say nothing', () => {
    const silent = [member('s-2'), member('s-3')]
    const fellBack = [member('s-1', { fellBack: true, reason }), ...silent]
    const broken = [member('s-1', { pool: 'failed', reason }), ...silent]
    assert.equal(advance(at('switching'), facts({ members: fellBack }), 5).kind, 'wait')
    assert.equal(bake({ warm: true, members: fellBack, bakeUntilMs: 10 }, 5).kind, 'wait')
    assert.equal(advance(at('switching', 'rollback'), facts({ members: broken }), 5).kind, 'wait')
    // One that the cloud does not count is no one to wait for.
    const alone = fellBack.map((one) => ({ ...one, healthy: one.server === 's-1' }))
    assert.equal(advance(at('switching'), facts({ members: alone }), 5).kind, 'roll-back')
  })

  it('makes current again what servers never stopped serving, when a rollback fails on all of them before they switched', () => {
    const never = [member('s-1', { pool: 'failed', reason }), member('s-2', { pool: 'failed', reason })]
    const step = advance(at('switching', 'rollback'), facts({ members: never }), 5)
    assert.equal(step.kind === 'fail' && step.revert, true)
    const switched = never.map((one) => ({ ...one, report: report({ pool: 'failed', reason, routed: digest }) }))
    const late = advance(at('switching', 'rollback'), facts({ members: switched }), 5)
    assert.equal(late.kind === 'fail' && late.revert, false)
  })

  it('does not hold against servers what nobody could see', () => {
    const members = [member('s-1', { pool: 'preparing' })]
    const boundOver = boundMs('preparing', defaultProbe)
    assert.equal(advance(at('preparing'), facts({ members }), boundOver).kind, 'fail')
    assert.equal(advance(at('preparing'), facts({ members, readableSinceMs: 1 }), boundOver).kind, 'wait')
  })

  it('of a disabled deployment changes nothing, but for the one that enables it', () => {
    assert.equal(advance(at('queued'), facts({ disabled: true }), 5).kind, 'fail')
    assert.equal(advance(at('queued', 'enable'), facts({ disabled: true }), 5).kind, 'switch')
    const gone = [member('s-1', { answers: false, routed: null })]
    assert.equal(advance(at('switching', 'disable'), facts({ members: gone }), 5).kind, 'complete')
    assert.equal(advance(at('switching', 'disable'), facts({ members: [member('s-1', { routed: digest })] }), 5).kind, 'wait')
  })
})
