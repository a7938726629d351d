import assert from 'node:assert/strict'
import { it } from 'node:test'
import { testApi } from '../testing/api.ts'
import { putBuild, putDeployment, putVersion } from '../testing/scene.ts'
import { rules } from './access.ts'

const { owner, ours, theirs } = await testApi()

await putBuild(owner, 'static', '1.0.0')
const theirScene = await putDeployment(theirs, 'shop')
const ourScene = await putDeployment(ours, 'shop')
await putVersion(owner, theirs, theirScene.application, { number: 1 })
await putVersion(owner, ours, ourScene.application, { number: 1 })
const upload = await theirs.send('POST', `${theirs.below}/applications/${theirScene.application}/uploads`, { files: 1, bytes: 1 })
const item = await theirs.send('POST', `${theirScene.path}/schedule-items`, { version: 1 })
const account = (await theirs.send('GET', `${theirs.below}/accounts`)).body.items[0].id

/** An object of theirs for each kind of path. */
const theirIds: Record<string, string> = {
  accounts: account,
  applications: theirScene.application,
  uploads: upload.body.id,
  sites: theirScene.site,
  deployments: theirScene.deployment,
  operations: item.body.operation
}
/** A body that each mutation would take. */
const bodies: Record<string, unknown> = {
  uploads: { files: 1, bytes: 1 },
  packs: { packs: [] },
  finish: { manifest: 'a'.repeat(64), packs: [] },
  'schedule-items': { version: 1 },
  rollback: {},
  deployments: { status: 'disabled' }
}

const byId = Object.keys(rules).filter((key) => key.includes('/:subscription/') && key.includes('/:id'))

it('knows the routes that name an object', () => assert.ok(byId.length >= 14))

for (const key of byId)
  it(`${key}: another subscription’s object is answered byte for byte like a missing one`, async () => {
    const [method = '', url = ''] = key.split(' ')
    const kind = /:subscription\/([^/]+)\/:id/.exec(url)?.[1] ?? ''
    const foreignId = theirIds[kind]
    assert.ok(foreignId, `no object of theirs for ${kind}`)
    const body = method === 'GET' ? undefined : bodies[url.split('/').at(-1)?.replace(':id', kind) ?? '']
    const ask = (id: string, subscription = ours.subscription) =>
      ours.send(
        method as 'GET', // the table's own
        url.replace(':subscription', subscription).replace(':id', id).replace(':number', '1'),
        body
      )

    const foreign = await ask(foreignId)
    const missing = await ask(crypto.randomUUID())
    const inTheirs = await ask(foreignId, theirs.subscription)
    const nowhere = await ask(crypto.randomUUID(), crypto.randomUUID())
    const nonsense = await ask('nonsense')

    assert.equal(foreign.status, 404)
    for (const other of [missing, inTheirs, nowhere, nonsense]) {
      assert.equal(other.status, 404)
      const [one, two] = [foreign, other].map(({ response, body }) => response.body.replace(body.requestId, ''))
      assert.equal(two, one)
      const headers = ({ response }: typeof foreign) => Object.keys(response.headers).toSorted()
      assert.deepEqual(headers(other), headers(foreign))
    }
    // The same question about an object of one's own is answered otherwise, so that the above is not true of everything.
    const own = await theirs.send(
      method as 'GET',
      url.replace(':subscription', theirs.subscription).replace(':id', foreignId).replace(':number', '1'),
      body
    )
    assert.notEqual(own.status, 404)
  })

for (const [what, path, body] of [
  ['an application', 'deployments', { ...ourScene, application: theirScene.application, path: '/x' }],
  ['a site', 'deployments', { ...ourScene, site: theirScene.site, path: '/x' }],
  ['an account', 'deployments', { ...ourScene, account, path: '/x' }],
  ['an account', 'applications', { name: 'x', account }],
  [
    'a deployment',
    `applications/${ourScene.application}/uploads`,
    { files: 1, bytes: 1, deploy: { deployment: theirScene.deployment } }
  ],
  ['a release', `deployments/${ourScene.deployment}/rollback`, { release: theirScene.deployment }]
] as const)
  it(`POST ${path}: naming ${what} of another subscription is answered like naming a missing one`, async () => {
    const { deployment: _, ...foreignBody } = body as Record<string, unknown>
    const missingBody = JSON.parse(
      [theirScene.application, theirScene.site, account, theirScene.deployment].reduce(
        (text, id) => text.replaceAll(id, crypto.randomUUID()),
        JSON.stringify(foreignBody)
      )
    )

    const foreign = await ours.send('POST', `${ours.below}/${path}`, foreignBody)
    const missing = await ours.send('POST', `${ours.below}/${path}`, missingBody)

    assert.equal(foreign.status, 404)
    assert.deepEqual({ ...foreign.body, requestId: '' }, { ...missing.body, requestId: '' })
  })
