import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { desc } from 'drizzle-orm'
import fc from 'fast-check'
import { makeApi } from './app.ts'
import { readConfig } from './config.ts'
import { rules } from './platform/access.ts'
import { connect, disconnect } from './platform/database.ts'
import { auditEntries } from './platform/schema.ts'
import type { LogEntry } from './platform/service-loop.ts'
import { testApi } from './testing/api.ts'
import { putBuild, putDeployment, putVersion } from './testing/scene.ts'

const { db, owner, objects, stranger, ours, log } = await testApi()

const deployment = await putDeployment(ours, 'shop')
await putBuild(owner, 'static', '1.0.0')
await putVersion(owner, ours, deployment.application, { number: 1 })
const { application, site } = deployment
/** A good body for each route that takes one. */
const bodies: Record<string, object> = {
  [`${ours.below}/accounts`]: { name: 'a' },
  [`${ours.below}/applications`]: { name: 'a' },
  [`${ours.below}/applications/${application}/uploads`]: {
    files: 1,
    bytes: 1,
    note: '',
    deploy: { deployment: deployment.deployment }
  },
  [`${ours.below}/sites`]: { name: 'a', hostName: 'a.example.com' },
  [`${ours.below}/deployments`]: {
    application,
    site,
    path: '/a',
    settings: { A: 'a' },
    probe: { path: '/' },
    pool: { processes: 1 }
  },
  [deployment.path]: { bakeSeconds: 1 },
  [`${deployment.path}/schedule-items`]: { version: 1, startsAt: '2040-01-01T00:00:00Z', endsAt: '2041-01-01T00:00:00Z' },
  [`${deployment.path}/rollback`]: {},
  '/v1/sign-in': { email: 'a@example.com', password: 'x' }
}

describe('every answer', () => {
  it('carries its request’s id, and nothing that a browser could misuse', async () => {
    const { response, body } = await ours.send('GET', `${ours.below}/accounts/nonsense`)

    assert.equal(body.requestId, response.headers['x-request-id'])
    assert.equal(response.headers['x-content-type-options'], 'nosniff')
    assert.equal(response.headers['cache-control'], 'no-store')
  })

  it('has one shape when something is wrong, also with requests that are none', async () => {
    const json = { 'content-type': 'application/json' }
    const huge = JSON.stringify({ name: 'x'.repeat(2 * 1024 * 1024) })
    for (const [payload, headers, status, code] of [
      ['{', json, 400, 'invalid'],
      ['', json, 400, 'invalid'],
      ['{"__proto__":{"name":"x"}}', json, 400, 'invalid'],
      [`{"name":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, json, 400, 'invalid'],
      ['{"name":"\\u0000"}', json, 400, 'invalid'],
      ['{"name":"\\ud800"}', json, 400, 'invalid'],
      ['name=x', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type'],
      [huge, json, 413, 'too_large']
    ] as const) {
      const { status: got, body } = await ours.send('POST', `${ours.below}/accounts`, payload, headers)
      assert.deepEqual([got, body.code], [status, code])
      assert.deepEqual(Object.keys(body).toSorted(), ['code', 'field', 'message', 'requestId'])
    }
  })

  it('is no failure of ours, whatever is sent to whatever route', async () => {
    const names = [...new Set(Object.values(bodies).flatMap((body) => Object.keys(body)))]
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom('\0', '\ud800', '9999-12-31T23:59:60Z', '../x', -1, 2 ** 53, 1e300))
    for (const [path, good] of Object.entries(bodies))
      await fc.assert(
        fc.asyncProperty(fc.dictionary(fc.constantFrom(...names, '__proto__'), value, { maxKeys: 3 }), async (wrong) => {
          const method = path === deployment.path ? 'PATCH' : 'POST'
          const { status } = await ours.send(method, path, JSON.stringify({ ...good, ...wrong }), {
            'content-type': 'application/json'
          })
          assert.ok(status < 500, JSON.stringify(wrong))
        }),
        { numRuns: 8 }
      )
  })

  it('is “not found” where nothing is', async () => {
    for (const path of ['/', '/v1', '/v1/nothing', '/v2/me', `${ours.below}/nothing`, '/%', '/docs/nothing']) {
      const { status, body } = await ours.send('GET', path)
      assert.deepEqual([status, body.code], [404, 'not_found'], path)
    }
    assert.equal((await ours.send('DELETE', `${ours.below}/accounts`)).status, 404)
  })
})

describe('a failure that must not be', () => {
  it('is logged under the request’s id, and nothing of it is told', async () => {
    const entries: LogEntry[] = []
    const keys = { dataKey: async () => Promise.reject(new TypeError('the inner secret')) }
    const config = readConfig({})
    const api = await makeApi({ db, keys, objects, clock: systemClock, config, log: (entry) => entries.push(entry) })
    try {
      const response = await api.inject({
        method: 'POST',
        url: `${ours.below}/applications/${crypto.randomUUID()}/uploads`,
        headers: { authorization: `Bearer ${ours.token}` },
        payload: { files: 1, bytes: 1 }
      })

      assert.equal(response.statusCode, 500)
      assert.equal(response.json().code, 'internal')
      assert.ok(!response.body.includes('inner'))
      const entry = entries.find(({ level }) => level === 'error')
      assert.equal(entry?.requestId, response.json().requestId)
      assert.equal(entry?.reason, 'the inner secret')
      assert.match(String(entry?.stack), /TypeError: the inner secret\n +at .*app\.test\.ts/)
      const [last] = await owner.select().from(auditEntries).orderBy(desc(auditEntries.id)).limit(1)
      assert.deepEqual([last?.outcome, last?.action, last?.requestId], ['failed', 'uploads.create', entry.requestId])
    } finally {
      await api.close()
    }
  })

  it('is 503 and “try again” while the database is away, and the process lives on', async () => {
    const away = connect('postgres://nobody:secret@127.0.0.1:1/none')
    const keys = { dataKey: async () => Promise.reject(new Error('never asked')) }
    const api = await makeApi({ db: away, keys, objects, clock: systemClock, config: readConfig({}), log: () => undefined })
    try {
      const health = await api.inject({ url: '/v1/health' })
      const payload = { email: 'a@example.com', password: 'x' }
      const signIn = await api.inject({ method: 'POST', url: '/v1/sign-in', payload })

      for (const response of [health, signIn]) {
        assert.equal(response.statusCode, 503)
        assert.equal(response.json().code, 'unavailable')
        assert.ok(!response.body.includes('127.0.0.1'))
      }
      assert.equal((await api.inject({ url: '/v1/about' })).statusCode, 200)
    } finally {
      await api.close()
      await disconnect(away)
    }
  })
})

describe('the contract', () => {
  it('tells anyone what runs here', async () => {
    assert.deepEqual((await stranger('GET', '/v1/health')).body, { ok: true })
    assert.deepEqual(Object.keys((await stranger('GET', '/v1/about')).body), ['version', 'cli'])
  })

  it('describes every route and its answers in OpenAPI 3.1', async () => {
    const { body } = await stranger('GET', '/openapi.json')

    assert.match(body.openapi, /^3\.1\./)
    const described = Object.entries<object>(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`)
    )
    const routes = Object.keys(rules).filter((key) => key.includes(' /v1/'))
    assert.deepEqual(described.toSorted(), routes.toSorted())
    const create = body.paths['/v1/subscriptions/{subscription}/accounts'].post
    assert.deepEqual(Object.keys(create.responses).toSorted(), ['201', '4XX', '5XX'])
    assert.equal(create.requestBody.content['application/json'].schema.required[0], 'name')
  })

  it('comes with a reference page that asks nobody else for anything', async () => {
    const page = await stranger('GET', '/docs/')

    assert.equal(page.status, 200)
    assert.match(String(page.response.headers['content-security-policy']), /default-src 'self'/)
    const start = await stranger('GET', '/docs/static/swagger-initializer.js')
    for (const { response } of [page, start]) assert.doesNotMatch(response.body, /(src|href|url)\W{1,4}https?:/i)
    assert.match(start.response.body, /"?validatorUrl"?:\s*null/)
    assert.equal((await stranger('GET', '/docs/static/swagger-ui-bundle.js')).status, 200)
  })
})

it('logs a line for each request, without query or token', async () => {
  await ours.send('GET', `${ours.below}/operations?deployment=hidden`)

  const lines = JSON.stringify(log)
  assert.match(lines, /GET \/v1\/subscriptions\/[0-9a-f-]+\/operations 400/)
  assert.doesNotMatch(lines, /hidden|berth_[0-9a-f]{8}/)
})
