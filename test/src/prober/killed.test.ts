import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AbortedConnection, type Killing, proveKilled } from './killed.ts'
import type { Failure } from './ledger.ts'

const nobody = { server: undefined, worker: undefined }
const worker = { server: 's-1', worker: { version: '2', pid: 77 } }

const failure = (change: Partial<Failure> = {}): Failure => ({
  kind: 'keep-alive',
  host: 'probed.test',
  method: 'GET',
  path: '/',
  startedAt: 990,
  endedAt: 1020,
  known: nobody,
  own: nobody,
  localPort: 5000,
  bytesReceived: 0,
  status: undefined,
  reason: 'reset',
  detail: 'ECONNRESET',
  ...change
})

const killing = (change: Partial<Killing> = {}): Killing => ({
  kind: 'server',
  server: 's-1',
  pids: [77],
  at: 1000,
  doneAt: 1010,
  inFlight: [failure()],
  ...change
})

const entry: AbortedConnection = { at: 1012, clientPort: 5000, server: 's-1' }

const judge = (failures: Failure[], killings: Killing[], aborted: AbortedConnection[] = []) => {
  const { countedApart, unproven, overblamed } = proveKilled({ failures, killings, aborted })
  return { apart: countedApart.length, unproven: unproven.length, overblamed: overblamed.length }
}

describe('the proof that a request died with a process', () => {
  it('takes the balancer’s word for a killed server, for that very port, server and moment', () => {
    assert.deepEqual(judge([failure()], [killing()], [entry]), { apart: 1, unproven: 0, overblamed: 0 })
    for (const other of [{ clientPort: 5001 }, { server: 's-2' }, { at: 900 }, { at: 4000 }])
      assert.deepEqual(judge([failure()], [killing()], [{ ...entry, ...other }]), { apart: 0, unproven: 1, overblamed: 0 })
  })

  it('takes no failure that began after the kill, ended before it, or came too late to be of it', () => {
    for (const times of [
      { startedAt: 1011, endedAt: 1020 },
      { startedAt: 900, endedAt: 999 },
      { startedAt: 990, endedAt: 3011 }
    ])
      assert.deepEqual(judge([failure(times)], [killing()], [entry]), { apart: 0, unproven: 1, overblamed: 0 })
  })

  it('takes an answer that broke off and had named the killed worker', () => {
    const killed = killing({ kind: 'worker' })

    assert.equal(judge([failure({ own: worker, status: 200 })], [killed]).apart, 1)
    assert.equal(judge([failure({ own: { ...worker, worker: { version: '2', pid: 78 } } })], [killed]).apart, 0)
    assert.equal(judge([failure({ own: { ...worker, server: 's-2' } })], [killed]).apart, 0)
  })

  it('takes an upload on a connection that led to the killed worker, but no GET, which the front tries again', () => {
    const killed = killing({ kind: 'worker' })

    assert.equal(judge([failure({ method: 'POST', known: worker })], [killed]).apart, 1)
    assert.equal(judge([failure({ method: 'GET', known: worker })], [killed]).apart, 0)
  })

  it('calls a kill overblamed that has more failures than requests under way', () => {
    const second = failure({ localPort: 5001 })

    const judgement = judge([failure(), second], [killing()], [entry, { ...entry, clientPort: 5001 }])

    assert.deepEqual(judgement, { apart: 2, unproven: 0, overblamed: 1 })
  })

  it('takes nothing where nothing was killed', () => {
    assert.deepEqual(judge([failure({ own: worker })], [], [entry]), { apart: 0, unproven: 1, overblamed: 0 })
  })
})
