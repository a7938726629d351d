import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { testApi } from '../testing/api.ts'
import { addressOf, labelOf, whyNotChosen, whyNotHostName } from './rules.ts'

const { ours, theirs } = await testApi({ env: { BERTH_ENTRY_PORT: '8123' } })
const make = (body: unknown, tenant = ours) => tenant.send('POST', `${tenant.below}/sites`, body)

describe('a site', () => {
  it('gets a host name of its own name, and is placed nowhere yet', async () => {
    const made = await make({ name: 'Müller’s Shop' })

    assert.equal(made.status, 201)
    assert.deepEqual(made.body.hostNames, ['muller-s-shop.localhost'])
    assert.deepEqual(made.body.addresses, ['http://muller-s-shop.localhost:8123'])
    assert.equal(made.body.fleet, null)
    assert.equal(made.body.tenancy, 'public')
    assert.deepEqual((await ours.send('GET', `${ours.below}/sites/${made.body.id}`)).body, made.body)
  })

  it('gets a suffix where another subscription has the name already', async () => {
    await make({ name: 'popular' })

    const second = await make({ name: 'popular' }, theirs)

    assert.match(second.body.hostNames[0], /^popular-[0-9a-z]{4}\.localhost$/)
  })

  it('takes the host name that is asked for, once on the whole platform', async () => {
    const made = await make({ name: 'custom', hostName: 'www.example.com' })
    const again = await make({ name: 'custom too', hostName: 'www.example.com' }, theirs)

    assert.deepEqual(made.body.hostNames, ['www.example.com'])
    assert.equal(again.status, 409)
    assert.equal(again.body.code, 'host_taken')
    assert.equal(again.body.field, '/hostName')
    const names = (await theirs.send('GET', `${theirs.below}/sites`)).body.items.map(({ name }: { name: string }) => name)
    assert.ok(!names.includes('custom too'), 'a refused site is not half made')
  })

  it('refuses a name that is taken, and host names that DNS would not carry', async () => {
    assert.equal((await make({ name: 'custom' })).body.code, 'name_taken')
    for (const hostName of [
      '-a.com',
      'a-.com',
      `${'a'.repeat(64)}.com`,
      'a..com',
      'A.com',
      'a_b.com',
      '',
      `${'a.'.repeat(127)}a`
    ]) {
      const refused = await make({ name: 'bad', hostName })
      assert.equal(refused.status, 400, hostName)
      assert.equal(refused.body.field, '/hostName')
    }
  })

  it('refuses names that are the platform’s to give, every machine’s own, or addresses', async () => {
    for (const hostName of ['localhost', 'api.localhost', 'a.b.localhost', '127.0.0.1', '1', 'shop.1', '0x7f', 'a.0x']) {
      const refused = await make({ name: 'bad', hostName })
      assert.deepEqual([refused.status, refused.body.code, refused.body.field], [400, 'invalid', '/hostName'], hostName)
    }
    for (const hostName of ['apps.example.com', 'api.apps.example.com', 'x.localhost'])
      assert.ok(whyNotChosen(hostName, 'apps.example.com'))
    for (const hostName of ['myapps.example.com', 'example.com', '1.example.com', 'notlocalhost', '0xyz'])
      assert.equal(whyNotChosen(hostName, 'apps.example.com'), undefined)
  })

  it('is not given what people take for the platform by being called so', async () => {
    assert.match((await make({ name: 'API' })).body.hostNames[0], /^api-[0-9a-z]{4}\.localhost$/)
  })
})

describe('a generated label', () => {
  it('is a host name whatever the site is called', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 100 }),
        (name) => whyNotHostName(`${labelOf(name)}-abcd.localhost`) === undefined
      )
    )
  })

  it('is shown with its port only where browsers need it', () => {
    assert.equal(addressOf('a.com', { scheme: 'http', port: 80 }), 'http://a.com')
    assert.equal(addressOf('a.com', { scheme: 'https', port: 443 }), 'https://a.com')
    assert.equal(addressOf('a.com', { scheme: 'https', port: 80 }), 'https://a.com:80')
  })
})
