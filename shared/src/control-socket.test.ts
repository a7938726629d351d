import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { callControl, serveControl } from './control-socket.ts'

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
})
