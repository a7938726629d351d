import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemClock } from './clock.ts'
import {
  findStartTime,
  isAlive,
  type ProcessIdentity,
  readIdentity,
  signalProcess,
  startDetached,
  stopProcess,
  writeIdentity
} from './processes.ts'
import { eventually } from './testing/eventually.ts'

describe('processes', () => {
  let folder: string
  const started: ProcessIdentity[] = []

  const start = async (script: string, env: Record<string, string> = {}) => {
    const identity = await startDetached({
      command: process.execPath,
      args: ['-e', script],
      cwd: folder,
      env,
      logFile: join(folder, 'log')
    })
    started.push(identity)
    return identity
  }

  const isThere = (file: string) => readFile(join(folder, file), 'utf8').catch(() => '')

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-processes-'))
  })

  after(async () => {
    for (const identity of started) await signalProcess(identity, 'SIGKILL', { group: true })
    await rm(folder, { recursive: true })
  })

  const stays = 'setInterval(() => {}, 1000)'

  it('starts a process that is nobody’s child, in a session of its own, with exactly the given environment', async () => {
    const identity = await start(
      `require('fs').writeFileSync('told', JSON.stringify([process.pid, process.ppid, Object.keys(process.env), process.cwd()])); ${stays}`,
      { ONLY: 'this' }
    )

    const told = await eventually(() => isThere('told'))

    const [pid, parent, names] = JSON.parse(told)
    assert.equal(pid, identity.pid)
    assert.notEqual(parent, process.pid)
    // A shell may add these three to what it was given; nothing of ours gets through.
    assert.deepEqual(
      names.filter((name: string) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name)),
      ['ONLY']
    )
    assert.equal(await isAlive(identity), true)
  })

  it('appends what the process prints to its log', async () => {
    await writeFile(join(folder, 'log'), 'before\n')

    await start(`console.log('out'); console.error('err'); ${stays}`)

    await eventually(async () => /^before\n(out\nerr|err\nout)\n$/.test(await isThere('log')))
  })

  it('passes arguments as they are, whatever a shell would make of them', async () => {
    const strange = 'a b"c\'d $HOME `id` ; & \\'
    const identity = await startDetached({
      command: process.execPath,
      args: ['-e', `require('fs').writeFileSync('argument', process.argv[1]); ${stays}`, strange],
      cwd: folder,
      env: {},
      logFile: join(folder, 'log')
    })
    started.push(identity)

    assert.equal(await eventually(() => isThere('argument')), strange)
  })

  it('says that a command that cannot run did not start, and where its output is', async () => {
    const ended = startDetached({ command: '/nowhere/nothing', args: [], cwd: folder, env: {}, logFile: join(folder, 'log') })
      // The shell's child lives for a moment before it finds out; then it is an identity that is not alive.
      .then(async (identity) => {
        await eventually(async () => !(await isAlive(identity)))
        throw new Error('ended')
      })

    await assert.rejects(ended, /ended/)
  })

  it('does not take another process with the same number for the one that was meant', async () => {
    const identity = await start(stays)
    const another = { pid: identity.pid, startTime: `${identity.startTime}1` }

    assert.equal(await isAlive(another), false)
    assert.equal(await signalProcess(another, 'SIGKILL'), false)
    await stopProcess(another, { graceMs: 10, clock: systemClock })
    assert.equal(await isAlive(identity), true)
    assert.equal(await findStartTime(identity.pid), identity.startTime)
  })

  it('counts a zombie as dead', async () => {
    // The shell replaces itself by a program that never asks after its child.
    const parent = spawn('/bin/sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
    try {
      const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)))
      await eventually(async () => (await findStartTime(pid)) === undefined)
    } finally {
      parent.kill('SIGKILL')
    }
  })

  it('ends a process that asks for nothing with SIGTERM alone', async () => {
    const identity = await start(
      `process.on('SIGTERM', () => { require('fs').writeFileSync('ended', 'well'); process.exit() }); require('fs').writeFileSync('up', 'up'); ${stays}`
    )
    await eventually(() => isThere('up'))

    await stopProcess(identity, { graceMs: 10_000, clock: systemClock })

    assert.equal(await isAlive(identity), false)
    assert.equal(await isThere('ended'), 'well')
  })

  it('ends a process that ignores SIGTERM, a stopped one, and what it had started', async () => {
    const identity = await start(
      `process.on('SIGTERM', () => {});
       const child = require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(`process.on('SIGTERM', () => {}); ${stays}`)}]);
       require('fs').writeFileSync('child', String(child.pid)); ${stays}`
    )
    const childPid = Number(await eventually(() => isThere('child')))
    await signalProcess(identity, 'SIGSTOP')

    await stopProcess(identity, { graceMs: 50, group: true, clock: systemClock })

    assert.equal(await isAlive(identity), false)
    await eventually(async () => (await findStartTime(childPid)) === undefined)
  })

  it('finds a process again by what was written about it, and nothing where nothing was', async () => {
    const identity = await start(stays)
    const file = join(folder, 'identity.json')

    assert.equal(await readIdentity(file), undefined)
    await writeIdentity(file, identity)

    assert.deepEqual(await readIdentity(file), identity)
  })

  it('refuses a damaged identity instead of signalling somebody', async () => {
    const file = join(folder, 'damaged.json')
    await writeFile(file, '{"pid":-1,"startTime":"1"}')

    await assert.rejects(readIdentity(file), { code: 'bad_identity' })
  })
})
