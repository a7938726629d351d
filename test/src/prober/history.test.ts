import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { versionHistory } from './history.ts'

const versions = (history: ReturnType<typeof versionHistory>) => (history.spans()['s-1'] ?? []).map((span) => span.version)

describe('the history of versions', () => {
  it('counts an old answer to a request that began before the switch as the old pool draining', () => {
    const history = versionHistory()

    history.add('s-1', '1', 0, 10)
    history.add('s-1', '2', 20, 30)
    history.add('s-1', '1', 25, 60)

    assert.deepEqual(versions(history), ['1', '2'])
  })

  it('shows a server that went back to an older version by itself', () => {
    const history = versionHistory()

    history.add('s-1', '1', 0, 10)
    history.add('s-1', '2', 20, 30)
    history.add('s-1', '1', 40, 50)
    history.add('s-1', '2', 60, 70)

    assert.deepEqual(versions(history), ['1', '2', '1', '2'])
  })

  it('keeps servers apart', () => {
    const history = versionHistory()

    history.add('s-1', '2', 0, 10)
    history.add('s-2', '1', 20, 30)

    assert.deepEqual(Object.keys(history.spans()), ['s-1', 's-2'])
    assert.deepEqual(versions(history), ['2'])
  })
})
