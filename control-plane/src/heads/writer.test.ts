import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Clock } from '@berth/shared/clock'
import { type Head, parseHead } from '@berth/shared/desired'
import { keyIdOf, parseEnvelope, type Signer } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { type Objects, ObjectsError } from '@berth/shared/objects/objects'
import type { Root } from '@berth/shared/trust'
import fc from 'fast-check'
import { render } from '../desired/render.ts'
import { memoryObjects } from '../testing/memory-objects.ts'
import { type FleetSnapshot, makeHeadWriter } from './writer.ts'

const fleet = 'f-one'
const site = '11111111-1111-4111-8111-111111111111'
const pair = generateKeyPairSync('ed25519')
const publicKey = String(pair.publicKey.export({ type: 'spki', format: 'pem' }))
const signer: Signer = { publicKey: async () => publicKey, sign: async (message) => sign(null, message, pair.privateKey) }
const role = { keys: [keyIdOf(publicKey)], threshold: 1 }
const root: Root = {
  format: 1,
  number: 1,
  expires: '2100-01-01T00:00:00.000Z',
  keys: { [keyIdOf(publicKey)]: publicKey },
  root: role,
  writer: role,
  sealer: role,
  vendor: role
}

/** A database of one fleet: each content has a host name of its own, and every commit raises the revision. */
const makeDatabase = () => {
  let state: FleetSnapshot = snapshotOf(1, 0, 'h0')
  return {
    commit: (content: string) => {
      state = snapshotOf(state.revision + 1, state.generation, content)
    },
    record: async (_: string, generation: number) => {
      state = { ...state, generation: Math.max(state.generation, generation), headLost: false }
    },
    sayHeadLost: () => {
      state = { ...state, headLost: true }
    },
    read: () => state
  }
}
const snapshotOf = (revision: number, generation: number, host: string): FleetSnapshot => ({
  revision,
  generation,
  headLost: false,
  rows: {
    fleet,
    sites: [{ id: site, subscription: site }],
    hostNames: [{ host, site }],
    deployments: [],
    releases: []
  }
})

const readHead = async (objects: Objects): Promise<Head> => {
  const bytes = await getBytes(objects, layout.head(fleet))
  assert.ok(bytes, 'the fleet has a head')
  return headOf(bytes)
}
const headOf = (bytes: Uint8Array): Head => parseHead(Buffer.from(parseEnvelope(bytes).payload, 'base64'))

const fixedClock = (at: Date): Clock => ({ now: () => at, wait: async () => undefined })
const start = new Date('2026-01-01T00:00:00.000Z')

const makeWriter = (
  objects: Objects,
  database: ReturnType<typeof makeDatabase>,
  {
    clock = fixedClock(start),
    snapshot = async () => database.read()
  }: { clock?: Clock; snapshot?: () => Promise<FleetSnapshot> } = {}
) => makeHeadWriter({ objects, signer, root: async () => root, snapshot, record: database.record, clock })

/** What may happen to a write on its way: it comes late, its answer is lost, or it never arrives. */
type Fate = 'well' | 'late' | 'answer lost' | 'lost'

describe('writing heads', () => {
  it('never lets an older revision overwrite a newer one, and the newest is written in the end, whatever the order of events', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.constantFrom('h1', 'h2', 'h3'), { minLength: 1, maxLength: 5 }),
        fc.infiniteStream(fc.constantFrom<Fate>('well', 'well', 'well', 'late', 'answer lost', 'lost')),
        async (scheduler, contents, fates) => {
          const heads: Head[] = []
          const store = memoryObjects((key, bytes) => {
            if (key === layout.head(fleet)) heads.push(headOf(bytes))
          })
          const database = makeDatabase()
          const onTheirWay: Promise<unknown>[] = []
          const objects: Objects = {
            ...store,
            get: async (key, options) => {
              await scheduler.schedule(Promise.resolve(), `get ${key}`)
              const answer = await store.get(key, options)
              await scheduler.schedule(Promise.resolve(), `answer to get ${key}`)
              return answer
            },
            put: async (key, body, options) => {
              const fate = key === layout.head(fleet) ? fates.next().value : 'well'
              await scheduler.schedule(Promise.resolve(), `put ${key}`)
              if (fate === 'late')
                onTheirWay.push(
                  scheduler
                    .schedule(Promise.resolve(), 'late put')
                    .then(() => store.put(key, body, options).catch(() => undefined))
                )
              if (fate === 'lost' || fate === 'late') throw new ObjectsError('unavailable', 'the write was lost')
              const answer = await store.put(key, body, options)
              await scheduler.schedule(Promise.resolve(), `answer to put ${key}`)
              if (fate === 'answer lost') throw new ObjectsError('unavailable', 'the answer was lost')
              return answer
            }
          }
          const snapshot = async () => {
            await scheduler.schedule(Promise.resolve(), 'snapshot')
            const seen = database.read()
            await scheduler.schedule(Promise.resolve(), 'answer to snapshot')
            return seen
          }
          const writers = [makeWriter(objects, database, { snapshot }), makeWriter(objects, database, { snapshot })]

          const commits = contents.map(async (content) => {
            await scheduler.schedule(Promise.resolve(), `commit ${content}`)
            database.commit(content)
          })
          const passes = writers.map(async (writer) => {
            for (let pass = 0; pass < 4; pass++) await writer.write(fleet).catch(() => undefined)
          })
          await scheduler.waitFor(Promise.all([...commits, ...passes]).then(() => Promise.all(onTheirWay)))
          // The store is well again: one more look of either writer, as the loop takes it, is all that is needed.
          const last = makeWriter(store, database)
          await last.write(fleet)

          for (const [at, head] of heads.entries()) {
            const before = heads[at - 1]
            if (!before) continue
            assert.ok(head.revision >= before.revision, `revision ${head.revision} after ${before.revision}`)
            assert.ok(head.generation === before.generation || head.generation === before.generation + 1)
            assert.equal(head.generation === before.generation, head.digest === before.digest)
          }
          const newest = await readHead(store)
          assert.equal(newest.revision, database.read().revision)
          assert.equal(newest.digest, render(database.read().rows).index.digest)
        }
      ),
      { numRuns: 200 }
    )
  })

  it('keeps a paused writer from putting what it saw before it was paused', async () => {
    const objects = memoryObjects()
    const database = makeDatabase()
    const other = makeWriter(objects, database)
    await other.write(fleet)
    let pausedOnce = false
    const paused = makeWriter(objects, database, {
      snapshot: async () => {
        const seen = database.read()
        if (!pausedOnce) {
          pausedOnce = true
          database.commit('newer')
          await other.write(fleet)
        }
        return seen
      }
    })
    database.commit('older')

    await paused.write(fleet)

    const head = await readHead(objects)
    assert.equal(head.digest, render(snapshotOf(0, 0, 'newer').rows).index.digest)
    assert.equal(head.revision, database.read().revision)
  })

  it('counts its own head as written when only the answer was lost', async () => {
    const store = memoryObjects()
    const database = makeDatabase()
    let puts = 0
    const objects: Objects = {
      ...store,
      // What a client library that retries by itself does: the second try finds the first one's object.
      put: async (key, body, options) => {
        if (key === layout.head(fleet)) {
          puts += 1
          await store.put(key, body, options)
        }
        return store.put(key, body, options)
      }
    }

    const head = await makeWriter(objects, database).write(fleet)

    assert.equal(head?.generation, 1)
    assert.equal(puts, 1)
  })

  it('signs again after ten minutes and keeps generation and digest', async () => {
    const objects = memoryObjects()
    const database = makeDatabase()
    let now = start
    const writer = makeWriter(objects, database, { clock: { now: () => now, wait: async () => undefined } })
    const first = await writer.write(fleet)
    assert.equal(writer.isDue(fleet, 1), false)
    assert.equal(await writer.write(fleet), undefined)

    now = new Date(start.getTime() + 10 * 60_000)
    assert.equal(writer.isDue(fleet, 1), true)
    const second = await writer.write(fleet)

    assert.deepEqual([second?.generation, second?.digest], [first?.generation, first?.digest])
    assert.equal(second?.validUntil, new Date(now.getTime() + 24 * 60 * 60_000).toISOString())
  })

  it('puts the index, the sites and the snapshot before the head that names them', async () => {
    const keys: string[] = []
    const objects = memoryObjects((key) => keys.push(key))
    const database = makeDatabase()

    const head = await makeWriter(objects, database).write(fleet)

    assert.ok(head)
    assert.equal(keys.at(-1), layout.head(fleet))
    assert.deepEqual(
      new Set(keys.slice(0, -1)),
      new Set([
        ...head.changed.map((digest) => layout.desired(fleet, digest)),
        layout.desired(fleet, head.digest),
        layout.snapshot(fleet, head.digest)
      ])
    )
  })

  it('puts only the sites that changed', async () => {
    const keys: string[] = []
    const objects = memoryObjects((key) => keys.push(key))
    const other = '22222222-2222-4222-8222-222222222222'
    const rows = (host: string): FleetSnapshot => {
      const one = snapshotOf(host === 'before' ? 1 : 2, 0, 'unchanged')
      return {
        ...one,
        rows: {
          ...one.rows,
          sites: [...one.rows.sites, { id: other, subscription: other }],
          hostNames: [...one.rows.hostNames, { host, site: other }]
        }
      }
    }
    let state = rows('before')
    const database = makeDatabase()
    const writer = makeWriter(objects, database, { snapshot: async () => state })
    await writer.write(fleet)
    state = rows('after')
    keys.length = 0

    const head = await writer.write(fleet)

    assert.equal(head?.changed.length, 1)
    assert.equal(keys.length, 4)
  })

  it('refuses to write from a database that is older than the head, and when a head that was there is gone', async () => {
    const objects = memoryObjects()
    const database = makeDatabase()
    database.commit('h1')
    await makeWriter(objects, database).write(fleet)

    const old = makeWriter(objects, database, { snapshot: async () => snapshotOf(1, 0, 'h0') })
    await assert.rejects(old.write(fleet), { code: 'old_database' })
    await objects.delete(layout.head(fleet))
    await assert.rejects(makeWriter(objects, database).write(fleet), { code: 'head_missing' })
  })

  it('goes on a million generations further when an operator says that the head is lost for good, once', async () => {
    const objects = memoryObjects()
    const database = makeDatabase()
    await makeWriter(objects, database).write(fleet)
    await objects.delete(layout.head(fleet))

    database.sayHeadLost()
    const head = await makeWriter(objects, database).write(fleet)

    assert.equal(head?.generation, 1_000_001)
    await objects.delete(layout.head(fleet))
    await assert.rejects(makeWriter(objects, database).write(fleet), { code: 'head_missing' })
  })

  it('is due until the generation that was put is recorded, so that its loss can never be taken for a new fleet', async () => {
    const objects = memoryObjects()
    const database = makeDatabase()
    let away = true
    const record = async (of: string, generation: number) => {
      if (away) throw new Error('the database is away')
      await database.record(of, generation)
    }
    const writer = makeHeadWriter({
      objects,
      signer,
      root: async () => root,
      snapshot: async () => database.read(),
      record,
      clock: fixedClock(start)
    })
    await assert.rejects(writer.write(fleet), /away/)
    assert.equal(writer.isDue(fleet, database.read().revision), true)

    away = false
    await writer.write(fleet)

    assert.equal(database.read().generation, 1)
    assert.equal(writer.isDue(fleet, database.read().revision), false)
    await objects.delete(layout.head(fleet))
    await assert.rejects(makeWriter(objects, database).write(fleet), { code: 'head_missing' })
  })

  it('refuses to build upon a head that no writer signed', async () => {
    const objects = memoryObjects()
    const database = makeDatabase()
    const foreign = generateKeyPairSync('ed25519')
    const foreignKey = String(foreign.publicKey.export({ type: 'spki', format: 'pem' }))
    const forger = makeHeadWriter({
      objects,
      signer: { publicKey: async () => foreignKey, sign: async (message) => sign(null, message, foreign.privateKey) },
      root: async () => root,
      snapshot: async () => database.read(),
      record: async () => undefined,
      clock: fixedClock(start)
    })
    await forger.write(fleet)

    await assert.rejects(makeWriter(objects, database).write(fleet), { code: 'unsigned' })
  })
})
