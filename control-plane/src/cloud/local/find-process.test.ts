import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { findByArguments } from './find-process.ts'

const isRoot = process.getuid?.() === 0

/** A process that does nothing, under arguments that nobody else has. */
const startIdle = async (t: TestContext, identity: { uid?: number; gid?: number } = {}) => {
  const command = ['/bin/sh', '-c', 'echo up; read _', randomUUID()] as const
  const [file, ...args] = command
  const child = spawn(file, args, { cwd: '/', env: {}, stdio: ['pipe', 'pipe', 'ignore'], ...identity })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return { command, pid: child.pid }
}

describe('finding a service by what it was started with', () => {
  it('finds our own process', async (t) => {
    const { command, pid } = await startIdle(t)

    assert.equal((await findByArguments(command))?.pid, pid)
  })

  it('takes no other user’s process for ours, whatever its arguments say', { skip: !isRoot && 'not root' }, async (t) => {
    const { command } = await startIdle(t, { uid: 61_236, gid: 61_236 })

    assert.equal(await findByArguments(command), undefined)
  })
})
