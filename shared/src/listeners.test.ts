import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { findListeners, isTakenByOther, listenerUids } from './listeners.ts'
import { eventually } from './testing/eventually.ts'

const notLinux = process.platform !== 'linux' && 'the system does not tell'

const listen = async (host: string): Promise<{ port: number; close: () => void }> => {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  // A listening TCP server has an address and a port.
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

describe('who listens', { skip: notLinux }, () => {
  for (const host of ['127.0.0.1', '0.0.0.0', '::', '::ffff:127.0.0.1'])
    it(`is told of a listener on ${host}, and of nobody once it is gone`, async () => {
      const { port, close } = await listen(host)
      try {
        assert.deepEqual(await listenerUids('127.0.0.1', port), new Set([process.getuid?.()]))
        assert.equal(await isTakenByOther('127.0.0.1', port, process.getuid?.()), false)
        assert.equal(await isTakenByOther('127.0.0.1', port, 61_234), true)
      } finally {
        close()
      }
      await eventually(async () => (await findListeners('127.0.0.1', port))?.length === 0)
      assert.equal(await isTakenByOther('127.0.0.1', port, 61_234), false)
    })

  it('is not told of one on another address', async () => {
    const { port, close } = await listen('127.0.0.2')
    try {
      assert.deepEqual(await listenerUids('127.0.0.1', port), new Set())
    } finally {
      close()
    }
  })

  it('is told as the very user of another process', { skip: process.getuid?.() !== 0 && 'not root' }, async () => {
    const code = "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => console.log(s.address().port))"
    const child = spawn(process.execPath, ['-e', code], { uid: 61_234, gid: 61_234, stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const [port] = await once(child.stdout, 'data')
      assert.deepEqual(await listenerUids('127.0.0.1', Number(port)), new Set([61_234]))
      assert.equal(await isTakenByOther('127.0.0.1', Number(port), 0), true)
    } finally {
      child.kill('SIGKILL')
    }
  })
})
