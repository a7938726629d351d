import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { attemptAs, findClosedFolder, isolation, type Target } from './isolation.ts'

const isRoot = process.getuid?.() === 0
const identity = { uid: 61_235, gid: 61_235 }

describe('the isolation probe', () => {
  it('finds what a pool could reach, and nothing else', { skip: !isRoot && 'not root' }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-isolation-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    await chmod(folder, 0o711)
    await writeFile(join(folder, 'closed.json'), '{}', { mode: 0o600 })
    await writeFile(join(folder, 'open.json'), '{}')
    await chmod(join(folder, 'open.json'), 0o644)
    await mkdir(join(folder, 'closed'), { mode: 0o700 })
    await mkdir(join(folder, 'open'), { mode: 0o755 })
    await chmod(join(folder, 'open'), 0o755)
    const listening = [join(folder, 'closed.sock'), join(folder, 'open.sock')].map((path) => createServer().listen(path))
    t.after(() => listening.map((server) => server.close()))
    await chmod(join(folder, 'closed.sock'), 0o600)
    await chmod(join(folder, 'open.sock'), 0o666)
    const target = (kind: Target['kind'], name: string): Target => ({ kind, at: join(folder, name) })

    const reached = await attemptAs(process.execPath)(identity, [
      target('file', 'closed.json'),
      target('file', 'open.json'),
      target('file', 'missing.json'),
      target('folder', 'closed'),
      target('folder', 'open'),
      target('socket', 'closed.sock'),
      target('socket', 'open.sock')
    ])

    assert.deepEqual(
      reached,
      ['open.json', 'open', 'open.sock'].map((name) => join(folder, name))
    )
  })

  it('is made once when it is good, and again later when it was not', async () => {
    let reached = ['/secret']
    let made = 0
    let now = 0
    const guard = isolation({
      attempt: async () => {
        made++
        return reached
      },
      probeIdentity: async () => identity,
      targets: async () => [],
      weakness: undefined,
      clock: { ...systemClock, now: () => new Date(now) }
    })

    await assert.rejects(guard.require(), { code: 'not_isolated' })
    reached = []
    await assert.rejects(guard.require(), { code: 'not_isolated' })
    assert.equal(made, 1)
    now = 60_000
    await Promise.all([guard.require(), guard.require()])
    await guard.require()
    assert.equal(made, 2)
    assert.deepEqual(guard.notIsolated(), [])
  })

  it('is replaced by plain words where pools get no identity on a laptop, and by a refusal elsewhere', async () => {
    const parts = { attempt: async () => [], probeIdentity: async () => undefined, targets: async () => [], clock: systemClock }
    const laptop = isolation({ ...parts, weakness: 'the agent is not root' })
    await laptop.require()
    assert.deepEqual(laptop.notIsolated(), ['the agent is not root'])

    await assert.rejects(isolation({ ...parts, weakness: undefined }).require(), { code: 'not_isolated' })
  })

  it('says nothing of an earlier failure once it is good, also where nothing is to be proved', async () => {
    let now = 0
    let isBroken = true
    const guard = isolation({
      attempt: async () => [],
      probeIdentity: async () => {
        if (isBroken) throw new Error('the table of identities cannot be read')
        return undefined
      },
      targets: async () => [],
      weakness: 'the agent is not root',
      clock: { ...systemClock, now: () => new Date(now) }
    })
    await assert.rejects(guard.require(), { code: 'not_isolated' })
    assert.equal(guard.notIsolated().length, 2)
    isBroken = false
    now = 60_000

    await guard.require()

    assert.deepEqual(guard.notIsolated(), ['the agent is not root'])
  })

  it('names the folder that other users cannot enter', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-closed-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    assert.equal(await findClosedFolder(join(folder, 'server')), folder)
    await chmod(folder, 0o711)
    assert.equal(await findClosedFolder(join(folder, 'server')), undefined)
  })
})
