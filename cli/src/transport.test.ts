import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { hastyClock } from './testing/command-line.ts'
import { type Send, transport } from './transport.ts'

type Answer = { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> } | 'reset'

describe('the transport', () => {
  const servers: Server[] = []
  const seen: { method: string; headers: Record<string, unknown> }[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.close()
      server.closeAllConnections()
    }
    seen.length = 0
  })

  /** An API that gives these answers in turn, the last one again and again. */
  const apiOf = async (...answers: readonly Answer[]): Promise<Send> => {
    const server = createServer((request, response) => {
      seen.push({ method: request.method ?? '', headers: request.headers })
      const answer = answers[Math.min(seen.length, answers.length) - 1] ?? 'reset'
      if (answer === 'reset') return void request.socket.destroy()
      response.writeHead(answer.status, answer.headers).end(answer.body)
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo // a TCP server has no other kind of address
    return transport({ api: `http://127.0.0.1:${port}`, token: 'the-token', version: '1.2.3', clock: hastyClock })
  }
  const refusal = (code: string) => JSON.stringify({ code, message: 'so it is', requestId: 'r', field: '/x' })

  it('tries again after cut connections, 429, 502, 503 and 504, and while the first try is still under way', async () => {
    for (const first of [
      'reset',
      { status: 429 },
      { status: 502 },
      { status: 503, body: refusal('unavailable') },
      { status: 504 },
      { status: 409, body: refusal('in_progress') }
    ] as const) {
      seen.length = 0
      const send = await apiOf(first, { status: 200, body: '{"good":true}' })
      assert.deepEqual(await send({ method: 'POST', path: '/x', body: {} }), { good: true })
      assert.equal(seen.length, 2)
      assert.equal(seen[0]?.headers['idempotency-key'], seen[1]?.headers['idempotency-key'])
    }
  })

  it('asks no second time for what was refused, and says the API’s own words, code, field and request', async () => {
    for (const [status, exitCode] of [
      [400, 1],
      [401, 3],
      [403, 1],
      [404, 4],
      [409, 1],
      [500, 1]
    ] as const) {
      seen.length = 0
      const send = await apiOf({ status, body: refusal('name_taken') })
      await assert.rejects(send({ method: 'POST', path: '/x', body: {} }), {
        code: 'name_taken',
        message: 'so it is',
        field: '/x',
        requestId: 'r',
        exitCode
      })
      assert.equal(seen.length, 1)
    }
  })

  it('says that the API cannot be reached, and which one, when no try helped', async () => {
    const send = await apiOf('reset')
    await assert.rejects(send({ method: 'GET', path: '/x' }), { code: 'unreachable', exitCode: 6, message: /127\.0\.0\.1/ })
    assert.equal(seen.length, 5)
  })

  it('follows no redirect, so that the token goes nowhere else', async () => {
    const send = await apiOf({ status: 302, headers: { location: 'http://127.0.0.1:9/' } })
    await assert.rejects(send({ method: 'GET', path: '/x' }), { code: 'bad_answer', exitCode: 1, message: /HTTP 302/ })
    assert.equal(seen.length, 1)
  })

  it('takes a page that is not Berth’s for what it is', async () => {
    const send = await apiOf({ status: 200, body: '<html>' })
    await assert.rejects(send({ method: 'GET', path: '/x' }), { code: 'bad_answer', message: /is .* the address of its API/ })
  })

  it('carries no idempotency key on reads', async () => {
    const send = await apiOf({ status: 200, body: '{}' })
    await send({ method: 'GET', path: '/x' })
    assert.equal(seen[0]?.headers['idempotency-key'], undefined)
    assert.equal(seen[0]?.headers.authorization, 'Bearer the-token')
  })
})
