import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fastify } from 'fastify'
import { testApi } from '../testing/api.ts'
import { type Asker, decide, findRule, rules } from './access.ts'
import { putGate } from './gate.ts'

const { app, stranger, operator, ours, theirs } = await testApi()

describe('the table of rules', () => {
  it('names no route that is not registered', () => {
    for (const key of Object.keys(rules)) {
      const [method = '', url = ''] = key.split(' ')
      assert.ok(app.hasRoute({ method: method as 'GET', url }), `${key} is in the table and not registered`)
    }
  })

  it('names every route: one that it does not cannot be registered', async () => {
    const bare = fastify()
    putGate(bare, async () => undefined)

    assert.throws(() => bare.get('/v1/secret-door', async () => 'open'), /missing from the table of rules/)
    assert.equal(findRule('GET', '/v1/secret-door'), undefined)
    assert.equal(findRule('GET', 'toString'), undefined)
  })
})

describe('deciding', () => {
  const user = (roles: readonly 'owner'[], isOperator = false): Asker => ({ kind: 'user', operator: isOperator, roles })
  const askers = {
    stranger: { kind: 'stranger' },
    anybody: user([]),
    operator: user([], true),
    owner: user(['owner'])
  } as const satisfies Record<string, Asker>

  it('lets strangers do nothing but look around and sign in', () => {
    const open = Object.entries(rules).filter(([, rule]) => decide({ actor: askers.stranger, ...rule }).allowed)

    assert.deepEqual([...new Set(open.map(([, { action }]) => action))].toSorted(), ['about.read', 'docs.read', 'session.create'])
  })

  it('answers a stranger to a subscription as if there were none, for everything in it', () => {
    for (const rule of Object.values(rules).filter(({ object }) => object === 'subscription')) {
      assert.deepEqual(decide({ actor: askers.anybody, ...rule }), { allowed: false, code: 'not_found' })
      assert.deepEqual(decide({ actor: askers.owner, ...rule }), { allowed: true })
      // Operators learn what a subscription is called, and nothing that is in it.
      assert.equal(decide({ actor: askers.operator, ...rule }).allowed, rule.action === 'subscriptions.read')
    }
  })

  it('keeps what is the operators’ from owners', () => {
    for (const action of ['builds.create', 'fleets.list', 'fleets.read', 'subscriptions.create'] as const) {
      assert.deepEqual(decide({ actor: askers.owner, action, object: 'platform' }), { allowed: false, code: 'forbidden' })
      assert.deepEqual(decide({ actor: askers.operator, action, object: 'platform' }), { allowed: true })
    }
  })

  it('denies what it does not know', () => {
    const unknown = 'toString' as 'me.read'
    assert.deepEqual(decide({ actor: askers.operator, action: unknown, object: 'platform' }), {
      allowed: false,
      code: 'forbidden'
    })
  })
})

describe('the gate', () => {
  it('asks everybody but strangers’ routes for a token, before it reads a body', async () => {
    for (const [key, { object }] of Object.entries(rules)) {
      const [method = '', url = ''] = key.split(' ')
      const path = url.replace(':subscription', ours.subscription).replace(/:\w+/g, crypto.randomUUID())
      const { status, body } = await stranger(method as 'GET', path, method === 'GET' ? undefined : { nonsense: true })
      if (object === 'public') assert.notEqual(status, 401, key)
      else {
        assert.equal(status, 401, key)
        assert.equal(body.code, 'unauthenticated')
      }
    }
  })

  it('refuses tokens that are none, ended or almost right', async () => {
    const good = 'berth_0123456789abcdef0123456789abcdef_'.padEnd(103, '0')
    for (const authorization of ['Bearer', 'Basic b3duZXI6eA==', 'Bearer x', `Bearer ${good}`, `Bearer ${good} x`]) {
      const { status, body } = await stranger('GET', '/v1/me', undefined, { authorization })
      assert.equal(status, 401)
      assert.equal(body.code, 'unauthenticated')
    }
  })

  it('shows the members of one subscription nothing of another', async () => {
    const own = await ours.send('GET', `${ours.below}/accounts`)
    const foreign = await theirs.send('GET', `${ours.below}/accounts`)
    const missing = await theirs.send('GET', `/v1/subscriptions/${crypto.randomUUID()}/accounts`)

    assert.equal(own.status, 200)
    assert.equal(foreign.status, 404)
    assert.deepEqual({ ...foreign.body, requestId: '' }, { ...missing.body, requestId: '' })
  })

  it('tells users apart from operators', async () => {
    assert.equal((await operator('GET', '/v1/fleets')).status, 200)
    assert.equal((await ours.send('GET', '/v1/fleets')).status, 403)
    assert.equal((await operator('GET', ours.below)).status, 200)
    assert.equal((await operator('GET', `${ours.below}/accounts`)).status, 404)
  })
})
