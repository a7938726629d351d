import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import { allocate, canListen, claimOf, pickNetwork } from './network.ts'

const listen = (address: string, port: number) =>
  new Promise<() => Promise<void>>((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ host: address, port }, () => resolve(() => new Promise((closed) => server.close(() => closed()))))
  })

const isSingle = !(await canListen('127.83.83.83', 0))

describe('the addresses of a local cloud', () => {
  it('are others than those that another cloud has claimed', {
    skip: isSingle && 'this system has one loopback address'
  }, async () => {
    const first = await pickNetwork('/a/folder')
    const claim = claimOf(first)
    assert.ok(claim)
    assert.deepEqual(await pickNetwork('/a/folder'), first)
    const release = await listen(claim.address, claim.port)

    try {
      assert.notDeepEqual(await pickNetwork('/a/folder'), first)
    } finally {
      await release()
    }
  })

  it('are one for each server and each fleet', async () => {
    const network = { kind: 'own', prefix: '127.1.2', port: 7080 } as const
    const one = await allocate(network, 'server', [])
    const two = await allocate(network, 'server', [one])
    const fleet = await allocate(network, 'balancer', [one, two])

    assert.equal(new Set([one, two, fleet].map(({ address }) => address)).size, 3)
  })

  it('are refused, not shared, when there are no more', async () => {
    const network = { kind: 'own', prefix: '127.1.2', port: 7080 } as const
    const taken = Array.from({ length: 256 }, (_, host) => ({ address: `127.1.2.${host}`, port: 7080 }))

    await assert.rejects(allocate(network, 'server', taken), { code: 'no_address' })
  })

  it('are free ports of 127.0.0.1 where the system has one loopback address', async () => {
    const network = await pickNetwork('/a/folder', 'single')
    const one = await allocate(network, 'server', [])
    const release = await listen(one.address, one.port)

    try {
      const two = await allocate(network, 'server', [])
      const three = await allocate(network, 'server', [two])
      assert.equal(new Set([one, two, three].map(({ port }) => port)).size, 3)
      assert.equal(one.address, '127.0.0.1')
    } finally {
      await release()
    }
  })
})
