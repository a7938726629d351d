import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { type Clock, systemClock } from '../clock.ts'
import { increment, readCounts, tryIncrement } from '../testing/increment-object.ts'
import { createFolderStore, folderObjects } from './folder.ts'
import { objectPath } from './folder-names.ts'
import { type PausePoint, pausePoints } from './folder-swap.ts'
import { sweepFolderStore } from './folder-sweep.ts'
import { isObjectsError, type Objects, ObjectsError } from './objects.ts'

const key = 'fleets/f-1/head.json'
const program = join(import.meta.dirname, '..', 'testing', 'increment-object.ts')
// Small, so that a held-up writer is soon overtaken by more than the window.
const window = 4

describe('compare-and-swap in a folder', () => {
  let root = ''
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-swap-'))
    await createFolderStore(root)
  })
  afterEach(() => rm(root, { recursive: true }))

  it('loses no update, however long a writer is held up at any point of its write', async () => {
    let run = 0
    const plan = fc.array(fc.record({ point: fc.constantFrom(...pausePoints), others: fc.nat(window * 2) }), { maxLength: 6 })
    const others = await folderObjects({ root }, { window })

    await fc.assert(
      fc.asyncProperty(plan, fc.boolean(), async (steps, startsEmpty) => {
        const runKey = `fleets/${run++}`
        let during: { point: PausePoint; others: number } | undefined
        const pause = async (point: PausePoint) => {
          if (point !== during?.point) return
          const { others: times } = during
          during = undefined
          await increment(others, runKey, 'other', times)
        }
        const heldUp = await folderObjects({ root }, { window, pause })
        if (!startsEmpty) await increment(others, runKey, 'first', 1)
        const outcomes = { done: 0, lost: 0, unknown: 0 }

        for (const step of steps) {
          during = step
          outcomes[await tryIncrement(heldUp, runKey, 'held-up')]++
        }

        const { counts } = await readCounts(others, runKey)
        const counted = counts['held-up'] ?? 0
        assert.ok(counted >= outcomes.done && counted <= outcomes.done + outcomes.unknown, JSON.stringify({ counts, outcomes }))
      }),
      { numRuns: 60 }
    )
  })

  it('says of a write that was overtaken by more than the window that its outcome is unknown, and of any other what it was', async () => {
    const outcomeAfter = async (point: PausePoint, times: number) => {
      const others = await folderObjects({ root }, { window })
      await increment(others, key, 'first', 1)
      let held = true
      const pause = async (at: PausePoint) => {
        if (!held || at !== point) return
        held = false
        await increment(others, key, 'other', times)
      }
      return tryIncrement(await folderObjects({ root }, { window, pause }), key, 'held-up')
    }

    assert.equal(await outcomeAfter('read', 1), 'lost')
    assert.equal(await outcomeAfter('read', window), 'lost')
    assert.equal(await outcomeAfter('read', window * 3), 'unknown')
    assert.equal(await outcomeAfter('linked', window - 2), 'done')
    assert.equal(await outcomeAfter('linked', window * 3), 'unknown')
    assert.equal(await outcomeAfter('checked', window * 3), 'done')
  })

  it('lets no two writers replace the same version, whatever is deleted, swept away and made anew between', async () => {
    let passedMs = 0
    const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + passedMs) }
    const others = await folderObjects({ root, clock }, { window })
    const sweep = async () => {
      passedMs += 120_000
      await sweepFolderStore(root, { olderThanMs: 60_000, clock })
    }
    const act = fc.constantFrom('put', 'delete', 'sweep', 'replace')
    const plan = fc.array(fc.record({ point: fc.constantFrom(...pausePoints), acts: fc.array(act, { maxLength: 8 }) }), {
      maxLength: 4
    })
    let run = 0

    await fc.assert(
      fc.asyncProperty(plan, fc.boolean(), async (steps, startsEmpty) => {
        const runKey = `fleets/${run++}`
        const replaced: string[] = []
        const replace = async (objects: Objects) => {
          const etag = (await objects.head(runKey))?.etag
          try {
            const condition = etag === undefined ? ({ ifNoneMatch: '*' } as const) : { ifMatch: etag }
            await objects.put(runKey, Buffer.from('same content'), { condition })
            if (etag !== undefined) replaced.push(etag)
          } catch (error) {
            if (!(error instanceof ObjectsError)) throw error
          }
        }
        const acts = {
          put: async () => void (await others.put(runKey, Buffer.from('same content'))),
          delete: () => others.delete(runKey),
          sweep,
          replace: () => replace(others)
        }
        let during: (typeof steps)[number] | undefined
        const pause = async (point: PausePoint) => {
          if (point !== during?.point) return
          const now = during.acts
          during = undefined
          for (const name of now) await acts[name]()
        }
        const heldUp = await folderObjects({ root, clock }, { window, pause })
        if (!startsEmpty) await acts.put()

        for (const step of steps) {
          during = step
          await replace(heldUp)
        }
        during = undefined

        assert.equal(new Set(replaced).size, replaced.length)
        await heldUp.put(runKey, Buffer.from('still writable'))
        assert.equal((await heldUp.head(runKey))?.size, 14)
      }),
      { numRuns: 60 }
    )
  })

  it('does not bring an object back that was deleted and is just being swept away, for a writer that read it before', async () => {
    const others = await folderObjects({ root })
    const { etag } = await others.put(key, Buffer.from('read before'))
    const path = objectPath(root, key)
    const pause = async (point: PausePoint) => {
      if (point !== 'read') return
      await others.delete(key)
      // As the sweep does, up to the moment before it removes the folder.
      for (const name of await readdir(path)) await rm(join(path, name))
    }
    const heldUp = await folderObjects({ root }, { pause })

    const write = heldUp.put(key, Buffer.from('held up'), { condition: { ifMatch: etag } })

    await assert.rejects(write, (error) => isObjectsError(error, 'unavailable'))
    assert.equal(await others.head(key), undefined)
  })

  it('counts every answered increment of writers in several processes, one of which is killed in the middle', async () => {
    const objects = await folderObjects({ root })
    const children = ['one', 'two', 'killed'].map((writer) => {
      const times = writer === 'killed' ? '1000000' : '20'
      const child = spawn(process.execPath, [program, root, key, writer, times], { stdio: ['ignore', 'pipe', 'inherit'] })
      const answered = { writer, child, ended: once(child, 'exit'), counted: 0 }
      createInterface({ input: child.stdout }).on('line', () => {
        answered.counted++
        if (writer === 'killed' && answered.counted === 10) child.kill('SIGKILL')
      })
      return answered
    })

    try {
      await Promise.all([increment(objects, key, 'here', 20), increment(objects, key, 'here-too', 20)])
      await Promise.all(children.map(({ ended }) => ended))
    } finally {
      for (const { child } of children) child.kill('SIGKILL')
    }

    const { counts } = await readCounts(objects, key)
    const { killed = 0, ...finished } = counts
    assert.deepEqual(finished, { one: 20, two: 20, here: 20, 'here-too': 20 })
    const answered = children.find(({ writer }) => writer === 'killed')?.counted ?? 0
    assert.ok(answered >= 10 && killed >= answered && killed <= answered + 1, `${killed} counted, ${answered} answered`)
  })

  it('frees the bytes of a superseded version at once, and keeps no more names than the window', async () => {
    const objects = await folderObjects({ root }, { window })
    for (let version = 0; version < window * 3; version++) await objects.put(key, Buffer.alloc(1000))

    const folder = objectPath(root, key)
    const names = await readdir(folder)
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
    assert.ok(names.length <= window)
    assert.equal(sizes.filter((size) => size > 0).length, 1)
    assert.deepEqual(await readdir(join(root, '.tmp')), [])
  })

  it('reads on in the version that a reader has begun, while it is replaced', async () => {
    const objects = await folderObjects({ root })
    const size = 2 * 1024 * 1024
    await objects.put(key, Buffer.alloc(size, 'a'))
    const found = await objects.get(key)
    assert.ok(found.kind === 'found')

    await objects.put(key, Buffer.from('b'))
    await objects.delete(key)

    let length = 0
    for await (const chunk of found.body) {
      assert.ok(chunk.every((byte: number) => byte === 0x61))
      length += chunk.length
    }
    assert.equal(length, size)
  })

  it('answers conflict to a creator that another was quicker than, and a failed precondition when it looks again', async () => {
    const others = await folderObjects({ root })
    let held = true
    const pause = async (point: PausePoint) => {
      if (held && point === 'read') await others.put(key, Buffer.from('first'))
      held = false
    }
    const objects = await folderObjects({ root }, { pause })
    const create = () => objects.put(key, Buffer.from('second'), { condition: { ifNoneMatch: '*' } })

    await assert.rejects(create(), (error) => isObjectsError(error, 'conflict'))
    await assert.rejects(create(), (error) => isObjectsError(error, 'precondition_failed'))
  })
})
