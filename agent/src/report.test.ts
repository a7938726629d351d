import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { type Observed, observedBytesMax, parseObserved } from '@berth/shared/observed'
import { eventually } from '@berth/shared/testing/eventually'
import { nothingObserved } from './plan/state.ts'
import { fitReport, isSettled, reporter } from './report.ts'
import { desiredOf, refOf, servingOf } from './testing/model.ts'

const digest = 'a'.repeat(64)

const reportOf = (deployments: number, message = ''): Observed => ({
  format: 1,
  fleet: 'f-1',
  server: 's-1',
  zone: 'local-a',
  agent: '0.1.0',
  at: new Date().toISOString(),
  generation: 1,
  digest,
  head: 'current',
  refusals: [],
  ready: true,
  notIsolated: [],
  builds: [],
  deployments: Array.from({ length: deployments }, () => ({
    deployment: randomUUID(),
    routed: null,
    operation: null,
    attempt: 0,
    pools: [{ release: digest, state: 'failed', restarts: 0, reason: { code: 'crashed', message } }]
  }))
})

describe('a report', () => {
  it('is never larger than what will be read, and tells of every deployment all the same', () => {
    const text = fitReport(reportOf(500, 'x'.repeat(2000)))

    assert.ok(Buffer.byteLength(text) <= observedBytesMax)
    const fitted = parseObserved(text)
    assert.equal(fitted.deployments.length, 500)
    assert.equal(fitted.deployments[0]?.pools[0]?.reason?.code, 'crashed')
  })

  it('leaves out the pools of deployments that are as desired before it leaves out why others failed', () => {
    const report = reportOf(1000)
    const deployments = report.deployments.map(({ pools, ...each }, n) => ({
      ...each,
      routed: digest,
      pools: n === 0 ? pools : pools.map(({ reason: _, ...pool }) => ({ ...pool, state: 'ready' as const }))
    }))
    const settled = new Set(deployments.slice(2).map(({ deployment }) => deployment))
    assert.ok(Buffer.byteLength(fitReport({ ...report, deployments: deployments.slice(0, 1) })) * 1000 > observedBytesMax)

    const fitted = parseObserved(fitReport({ ...report, deployments }, settled))

    assert.equal(fitted.deployments.length, 1000)
    assert.equal(fitted.deployments[0]?.pools[0]?.reason?.code, 'crashed')
    assert.equal(fitted.deployments[1]?.pools[0]?.state, 'ready')
    assert.deepEqual(fitted.deployments[2]?.pools, [])
  })

  it('counts a deployment as settled only when it serves what is desired and nothing is being prepared', () => {
    const other = 'b'.repeat(64)
    const desired = desiredOf({ current: refOf(digest) })

    assert.ok(isSettled({ desired, view: servingOf(digest) }))
    assert.ok(!isSettled({ desired, view: servingOf(other) }))
    assert.ok(!isSettled({ desired: { ...desired, preparing: refOf(digest) }, view: servingOf(digest) }))
    assert.ok(!isSettled({ desired: { ...desired, current: null }, view: nothingObserved }))
    assert.ok(!isSettled({ desired: undefined, view: nothingObserved }))
  })

  it('of more deployments than fit at all keeps those that somebody waits for', () => {
    const report = reportOf(2000)
    const awaited = report.deployments.slice(1900).map(({ deployment }) => deployment)
    const settled = new Set(report.deployments.slice(0, 1900).map(({ deployment }) => deployment))

    const text = fitReport(report, settled)

    assert.ok(Buffer.byteLength(text) <= observedBytesMax)
    const kept = new Set(parseObserved(text).deployments.map(({ deployment }) => deployment))
    assert.ok(awaited.every((deployment) => kept.has(deployment)))
  })

  it('is written when something changed, not when nothing did, and again after the store failed', async () => {
    const written: string[] = []
    let isGone = true
    let generation = 1
    const report = reporter({
      objects: {
        put: async (_, body) => {
          if (isGone) throw new Error('the store is gone')
          written.push(Buffer.from(body as Uint8Array).toString()) // this reporter passes bytes
          return { etag: '"1"' }
        }
      },
      key: 'observed/f-1/s-1.json',
      build: () => {
        const { at, ...report } = reportOf(0)
        assert.ok(at)
        return { ...report, generation }
      },
      settled: () => new Set(),
      clock: systemClock
    })
    report.changed()
    await report.idle()
    isGone = false
    report.tick()
    await eventually(() => written.length === 1)
    report.changed()
    report.tick()
    await report.idle()
    assert.equal(written.length, 1)

    generation = 2
    report.changed()

    await eventually(() => written.length === 2)
    assert.equal(parseObserved(written[1] ?? '').generation, 2)
  })

  it('is written anew after a put that hung: one request without an answer does not silence a server', async () => {
    const waits: (() => void)[] = []
    const late = () => new Promise<void>((resolve) => waits.push(resolve))
    let puts = 0
    const report = reporter({
      objects: { put: () => (++puts === 1 ? new Promise(() => undefined) : Promise.resolve({ etag: '"1"' })) },
      key: 'observed/f-1/s-1.json',
      build: () => reportOf(0),
      settled: () => new Set(),
      clock: { now: () => new Date(1_700_000_000_000), wait: late }
    })
    report.changed()
    await eventually(() => puts === 1 && waits.length === 1)

    waits[0]?.()
    await report.idle()
    report.tick()
    await report.idle()

    assert.equal(puts, 2)
  })
})
