import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { IdentityRange } from '@berth/shared/birth'
import { addServer } from './changes.ts'
import { pickIdentities } from './identities.ts'
import { type CloudState, parseState } from './state.ts'

const empty: CloudState = { format: 1, network: { kind: 'single' }, births: 0, firstName: 0xffff_fff0, fleets: {}, servers: {} }

const uidsOf = ({ first, count }: IdentityRange) => ({ from: first, to: first + count })

describe('the operating-system identities of servers on one machine', () => {
  it('are never those of another server that lives', async () => {
    let state = empty
    for (let server = 0; server < 8; server++) state = await addServer('f-one', 'local-a')(state)

    const ranges = Object.values(parseState(JSON.stringify(state)).servers).flatMap(({ identities }) => identities ?? [])

    assert.equal(ranges.length, 8)
    const sorted = ranges.map(uidsOf).sort((one, other) => one.from - other.from)
    for (const [n, { from }] of sorted.entries()) assert.ok(n === 0 || from >= (sorted[n - 1]?.to ?? Infinity))
  })

  it('pass over what a living server holds when the ranges have gone round', async () => {
    const state = await addServer('f-one', 'local-a')(empty)
    const [first] = Object.values(state.servers)

    const next = pickIdentities({ ...state, births: 16_000 })

    assert.ok(first?.identities)
    assert.notEqual(next.first, first.identities.first)
  })

  it('stay below what the smallest counter of a system can hold', () => {
    for (const births of [0, 15_999, 16_000, 1_000_000]) {
      const { from, to } = uidsOf(pickIdentities({ ...empty, births }))
      assert.ok(from >= 200_000 && to < 0x7fff_0000)
    }
  })
})
