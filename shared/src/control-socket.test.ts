import assert from 'node:assert/strict'
import { chmod, lstat, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { callControl, serveControl, socketPathIn } from './control-socket.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-control-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('a control socket', () => {
  it('tells nobody there from somebody who does not answer in time', async () => {
    const socket = join(folder, 'x.sock')
    await assert.rejects(callControl(socket, 'GET', '/x'), { code: 'unreachable' })

    const control = await serveControl(socket, { 'GET /x': () => new Promise(() => undefined) })
    await assert.rejects(callControl(socket, 'GET', '/x', undefined, { timeoutMs: 50 }), { code: 'no_answer' })
    await control.close()
    await assert.rejects(callControl(socket, 'GET', '/x'), { code: 'unreachable' })
  })

  it('takes a process that ends before it answers for gone, and one that ends within its answer for unclear', async () => {
    const ends = async (said: string) => {
      const socket = join(folder, `${said.length}.sock`)
      const server = createServer((connection) => connection.once('data', () => connection.end(said)))
      await new Promise<void>((resolve) => server.listen(socket, resolve))
      try {
        return await callControl(socket, 'GET', '/x').then(
          () => 'answered',
          ({ code }) => code
        )
      } finally {
        server.close()
      }
    }

    assert.equal(await ends(''), 'unreachable')
    assert.equal(await ends('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'), 'no_answer')
  })

  it('gets a short path in a folder that only we may enter, which goes with its last socket', async () => {
    const long = join(folder, 'x'.repeat(100))
    const path = await socketPathIn(long, 'x')
    assert.equal(await socketPathIn(long, 'x'), path)
    assert.equal((await lstat(dirname(path))).mode & 0o777, 0o700)

    const control = await serveControl(path, {})
    await control.close()

    await assert.rejects(lstat(dirname(path)), { code: 'ENOENT' })
  })

  it('never goes through a folder that somebody else may have put at its short path', async () => {
    const long = join(folder, 'y'.repeat(100))
    const short = dirname(await socketPathIn(long, 'x'))
    const isRefused = () => assert.rejects(socketPathIn(long, 'x'), { code: 'foreign_folder' })
    try {
      await chmod(short, 0o755)
      await isRefused()

      await rm(short, { recursive: true })
      await mkdir(join(folder, 'elsewhere'), { mode: 0o750 })
      await symlink(join(folder, 'elsewhere'), short)
      await isRefused()
      assert.equal((await lstat(join(folder, 'elsewhere'))).mode & 0o777, 0o750)
    } finally {
      await rm(short, { recursive: true, force: true })
    }
  })
})
