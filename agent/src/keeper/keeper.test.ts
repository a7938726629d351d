import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { findStartTime } from '@berth/shared/processes'
import fc from 'fast-check'
import { crashesMax, restartDelayMs, withinWindow } from './crashes.ts'
import { boundLog } from './log.ts'
import { findKeeper, takeFolder } from './pool-folder.ts'
import { releasePorts, reservePort } from './ports.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-keeper-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('the crash window', () => {
  it('gives a pool up at the fifth death within five minutes and at no other', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 12 }), (gaps) => {
        let now = 0
        let deaths: number[] = []
        for (const gap of gaps) {
          now += gap
          const all = [...deaths, now]
          deaths = withinWindow(all, now)
          const recent = all.filter((death) => now - death < 300_000).length
          assert.equal(restartDelayMs(deaths) === undefined, recent >= crashesMax)
        }
      })
    )
  })

  it('mends the first death at once and waits longer after each other', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5].map((count) => restartDelayMs(Array.from({ length: count }, () => 0))),
      [0, 250, 500, 1000, undefined]
    )
  })
})

describe('ports', () => {
  it('belong to one owner until they are given back', async () => {
    const ports = await Promise.all(['a', 'a', 'b', 'c'].map((owner) => reservePort(folder, owner, '127.0.0.1')))
    assert.equal(new Set(ports).size, 4)

    await releasePorts(folder, 'a')
    assert.deepEqual((await readdir(folder)).map(Number).sort(), ports.slice(2).sort())
  })

  it('are not taken where somebody listens', async () => {
    const first = await reservePort(folder, 'a', '127.0.0.1')
    await releasePorts(folder, 'a')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(first, '127.0.0.1', resolve))

    const second = await reservePort(folder, 'a', '127.0.0.1')
    await new Promise((resolve) => server.close(resolve))

    assert.notEqual(second, first)
  })
})

describe("a pool's folder", () => {
  it('is taken by exactly one of several keepers at once, and by the next when that one is dead', async () => {
    const startTime = (await findStartTime(process.pid)) ?? ''
    const self = { pid: process.pid, startTime }
    const dead = { pid: process.pid, startTime: 'long ago' }

    assert.equal(await takeFolder(folder, dead), true)
    assert.equal(await findKeeper(folder), undefined)
    const taken = await Promise.all([takeFolder(folder, self), takeFolder(folder, self), takeFolder(folder, self)])

    assert.deepEqual(taken.filter(Boolean), [true])
    assert.deepEqual(await findKeeper(folder), self)
    assert.equal(await takeFolder(folder, self), false)
  })
})

describe('a log', () => {
  it('is emptied into its predecessor when it grew too large, and not before', async () => {
    const file = join(folder, 'x.log')
    await boundLog(file)
    await writeFile(file, 'small')
    await boundLog(file)
    assert.equal(await readFile(file, 'utf8'), 'small')

    await writeFile(file, Buffer.alloc(6 * 1024 * 1024))
    await boundLog(file)

    assert.equal((await stat(file)).size, 0)
    assert.equal((await stat(`${file}.1`)).size, 6 * 1024 * 1024)
  })
})
