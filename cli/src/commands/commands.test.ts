import assert from 'node:assert/strict'
import { chmod, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type CommandLine, commandLine } from '../testing/command-line.ts'

describe('berth', () => {
  let line: CommandLine
  beforeEach(async () => {
    line = await commandLine()
    await line.signIn()
  })
  afterEach(() => line.close())

  const page = (text: string, name = 'Shop') => line.files(name, { 'index.html': text })
  /** Runs a command that must be done, and parses what it printed. */
  const json = async (...args: readonly string[]) => {
    const { code, out, err } = await line.berth(...args, '--json')
    assert.equal(code, 0, err)
    return JSON.parse(out)
  }
  const failure = async (...args: readonly string[]) => {
    const { code, out, err } = await line.berth(...args, '--json')
    const lines = err.trimEnd().split('\n')
    return { exit: code, out, ...JSON.parse(lines.at(-1) ?? '') }
  }

  describe('up', () => {
    it('makes everything from nothing but a folder, and prints nothing but the address', async () => {
      const { code, out, err } = await line.berth('up', await page('one'))

      assert.equal(code, 0, err)
      assert.equal(out, 'http://shop.localhost:8080/\n')
      assert.match(err, /Making the application shop\n.*Publishing 1 file, 3 B as shop\n.*Making a deployment/s)
      const { applications, sites, deployments, operations } = line.api.deployments
      assert.deepEqual([applications.length, sites.length, deployments.length, operations.length], [1, 1, 1, 1])
      assert.equal(operations[0]?.state, 'live')
    })

    it('changes nothing when it is run again and the folder is the same', async () => {
      await line.berth('up', await page('one'))
      const requestsBefore = line.api.requests.length

      const { code, out, err } = await line.berth('up', await page('one'))

      assert.deepEqual([code, out], [0, 'http://shop.localhost:8080/\n'])
      assert.match(err, /Nothing changed: version 1 of shop already serves/)
      assert.ok(line.api.requests.slice(requestsBefore).every(({ method }) => method === 'GET'))
    })

    it('publishes a new version to the same deployment when the content, a name or an executable bit changed', async () => {
      const folder = await page('one')
      await json('up', folder)
      await writeFile(join(folder, 'index.html'), 'two')

      const { version, published, served, address } = await json('up', folder)

      assert.deepEqual([version, published, served, address], [2, true, true, 'http://shop.localhost:8080/'])
      await chmod(join(folder, 'index.html'), 0o755)
      assert.equal((await json('up', folder)).version, 3)
      await rename(join(folder, 'index.html'), join(folder, 'start.html'))
      assert.equal((await json('up', folder)).version, 4)
      assert.equal(line.api.deployments.deployments.length, 1)
    })

    it('makes the folder’s version serve again after a rollback, without publishing it anew', async () => {
      const folder = await page('one')
      await json('up', folder)
      await json('up', await page('two'))
      await json('rollback', 'shop')

      const { version, published } = await json('up', await page('two'))

      assert.deepEqual([version, published], [2, false])
      assert.equal((await json('status', 'shop')).live.version, 2)
    })

    it('goes on where an earlier run ended too soon', async () => {
      line.api.faults.push(...Array.from({ length: 9 }, () => ({ when: isPost('/sites'), what: 503 })))
      assert.equal((await failure('up', await page('one'))).exit, 6)
      line.api.faults.length = 0

      const { version, published } = await json('up', await page('one'))

      assert.deepEqual([version, published], [1, false])
      assert.equal(line.api.deployments.applications.length, 1)
      assert.equal(line.api.deployments.sites.length, 1)
    })

    it('is called after package.json, else after the folder, in letters that a host name can have', async () => {
      const named = await line.files('x', { 'package.json': '{"name":"@acme/Büro Shop"}' })
      const unnamed = await line.files('My Site (2)', { 'package.json': 'not json' })

      assert.equal((await json('up', named)).application.name, 'buro-shop')
      assert.equal((await json('up', unnamed)).application.name, 'my-site-2')
    })

    it('finds a name for its site when another application has taken it', async () => {
      await json('up', await page('one'))
      const { deployment, address } = await json('up', await page('other', 'other'), '--application', 'second')
      assert.equal(address, 'http://second.localhost:8080/')
      line.api.deployments.applications.splice(0, 1)
      line.api.deployments.deployments.splice(0, 1, { ...deployment, path: '/', site: line.api.deployments.sites[0]?.id })

      assert.equal((await json('up', await page('one'))).address, 'http://shop-2.localhost:8080/')
    })

    it('makes nothing of a bad folder', async () => {
      assert.deepEqual(
        [(await failure('up', join(line.folder, 'none'))).exit, (await failure('up', await line.files('empty', {}))).code],
        [4, 'no_files']
      )
      assert.ok(line.api.requests.every(({ method }) => method === 'GET'))
    })

    it('publishes nothing to a disabled deployment', async () => {
      await json('up', await page('one'))
      await json('disable', 'shop')

      for (const args of [
        ['up', await page('two')],
        ['publish', await page('two'), '--application', 'shop', '--deploy']
      ]) {
        const { exit, code } = await failure(...args)
        assert.deepEqual([exit, code], [1, 'disabled'])
      }
      assert.equal([...line.api.deployments.versions.values()][0]?.length, 1)
    })

    it('fails with 5 when the new version never becomes live, and names what still serves', async () => {
      await json('up', await page('one'))
      line.api.deployments.broken.add(2)

      const { exit, code, message } = await failure('up', await page('two'))

      assert.deepEqual([exit, code], [5, 'operation_failed'])
      assert.match(message, /probe_failed: the worker answered its probe with 500\); version 1 still serves/)
    })
  })

  describe('publish and deploy', () => {
    it('publish makes a version and runs nothing', async () => {
      await json('up', await page('one'))

      const { version, schedule } = await json('publish', await page('two'), '--application', 'shop', '--note', 'better')

      assert.deepEqual([version, schedule], [2, undefined])
      assert.equal(line.api.deployments.operations.length, 1)
    })

    it('publish --deploy says why a version that was made is not deployed', async () => {
      await json('up', await page('one'))
      line.api.uploads.next.notDeployed = { code: 'no_build', message: 'version 2 was made and not deployed: no build fits' }

      const { exit, code, message } = await failure('publish', await page('two'), '--application', 'shop', '--deploy')

      assert.deepEqual([exit, code], [1, 'not_deployed'])
      assert.match(message, /not deployed: no build fits \(no_build\).*berth deploy shop/)
      assert.equal(line.api.deployments.applications[0]?.lastVersion, 2)
    })

    it('publish --deploy deploys to the only deployment, or to the one that is named', async () => {
      await json('up', await page('one'))

      const alone = await json('publish', await page('two'), '--application', 'shop', '--deploy')
      const named = await json('publish', await page('three'), '--application', 'shop', '--deploy', 'shop')

      assert.deepEqual([alone.operation.state, named.operation.state], ['live', 'live'])
      assert.equal((await json('status')).live.version, 3)
    })

    it('deploy runs the newest version, or the one that is asked for, by deployment or application', async () => {
      await json('up', await page('one'))
      await json('publish', await page('two'), '--application', 'shop')

      assert.equal((await json('deploy', 'shop')).operation.version, 2)
      const { id } = line.api.deployments.deployments[0] ?? {}
      assert.equal((await json('deploy', String(id), '--version', '1', '--build', 'static@1.0.0')).operation.version, 1)
      Object.assign(line.api.deployments.deployments[0] ?? {}, { name: 'production' })
      assert.equal((await json('deploy', 'shop', '--version', '2')).deployment.name, 'production')
    })

    it('deploy --at keeps an item for later and does not wait', async () => {
      await json('up', await page('one'))

      const { schedule, operation } = await json('deploy', 'shop', '--at', '2099-01-31T08:00:00+01:00')

      assert.equal(schedule.startsAt, '2099-01-31T07:00:00.000Z')
      assert.equal(operation, undefined)
    })

    it('deploy --no-wait answers while the operation is still under way', async () => {
      await json('up', await page('one'))

      assert.notEqual((await json('deploy', 'shop', '--no-wait')).operation.state, 'live')
    })

    it('deploy refuses a version, a build and a time that cannot be', async () => {
      await json('up', await page('one'))

      assert.match((await failure('deploy', 'shop', '--version', '9')).message, /there is no version 9; the newest is 1/)
      assert.match((await failure('deploy', 'shop', '--build', 'node')).message, /not offered; there are: static@1\.0\.0/)
      assert.equal((await failure('deploy', 'shop', '--version', '9')).exit, 4)
      for (const [option, value] of [
        ['--at', '2030-01-31 08:00'],
        ['--at', '2030-01-31T08:00:00'],
        ['--build', '@1.0.0'],
        ['--version', '0'],
        ['--timeout', '-1']
      ] as const)
        assert.equal((await failure('deploy', 'shop', option, value)).exit, 2, `${option} ${value}`)
    })

    it('fails with 5 when it is not live in time, and says that it goes on', async () => {
      await json('up', await page('one'))
      await json('publish', await page('two'), '--application', 'shop')
      line.api.deployments.freeze()

      const { exit, code, message } = await failure('deploy', 'shop', '--timeout', '1')

      assert.deepEqual([exit, code], [5, 'not_live_in_time'])
      assert.match(message, /goes on by itself/)
    })
  })

  describe('rollback', () => {
    beforeEach(async () => {
      for (const text of ['one', 'two', 'three']) await json('up', await page(text))
    })

    it('serves what was live before', async () => {
      const { operation } = await json('rollback', 'shop')

      assert.deepEqual([operation.kind, operation.version, operation.state], ['rollback', 2, 'live'])
    })

    it('takes a version or a release’s id', async () => {
      assert.equal((await json('rollback', 'shop', '--to', '1')).operation.version, 1)
      const { requested } = await json('status', 'shop')
      await json('up', await page('three'))
      assert.equal((await json('rollback', 'shop', '--to', requested.release)).operation.version, 1)
    })

    it('says which versions there are when asked for another', async () => {
      const { exit, message } = await failure('rollback', 'shop', '--to', '7')

      assert.equal(exit, 4)
      assert.match(message, /versions that were live: 1, 2, 3/)
    })

    it('--no-wait answers at once', async () => {
      assert.notEqual((await json('rollback', 'shop', '--no-wait')).operation.state, 'live')
    })
  })

  describe('status', () => {
    it('shows what was asked for and what each server does', async () => {
      await json('up', await page('one'))

      const { out } = await line.berth('status')

      assert.match(out, /^shop \(active\) http:\/\/shop\.localhost:8080\/\nlive: version 1 /)
      assert.match(out, /\nSERVER {2}ZONE +REQUESTED {2}ACTUAL {2}STATE {4}REASON\ns-1 +local-a +1 +1 +running\ns-2 /)
    })

    it('--watch tells every change until the operation has ended, with how many servers and the one that blocks', async () => {
      await json('up', await page('one'))
      await json('publish', await page('two'), '--application', 'shop')
      line.api.deployments.schedule(line.api.deployments.deployments[0]?.id ?? '', 2, undefined)

      const { code, out } = await line.berth('status', 'shop', '--watch')

      assert.equal(code, 0)
      assert.match(out, /preparing, 1 of 2 servers ready, 0 switched\n {2}server s-2 is preparing it\n/)
      assert.match(out, /deploy of version 2: live/)
    })

    it('--watch --json prints one line of JSON for each change, and fails as the operation does', async () => {
      await json('up', await page('one'))
      await json('publish', await page('two'), '--application', 'shop')
      line.api.deployments.broken.add(2)
      await json('deploy', 'shop', '--no-wait')

      const { code, out, err } = await line.berth('status', 'shop', '--watch', '--json')

      const states = out
        .trimEnd()
        .split('\n')
        .map((text) => JSON.parse(text).operation.state)
      assert.equal(states.at(-1), 'failed')
      assert.equal(code, 5)
      assert.equal(JSON.parse(err).code, 'operation_failed')
    })

    it('shows all deployments when there are several, and asks which one to watch', async () => {
      await json('up', await page('one'))
      await json('up', await page('one', 'blog'))

      assert.equal((await json('status')).items.length, 2)
      const { exit, message } = await failure('status', '--watch')
      assert.equal(exit, 2)
      assert.match(message, /shop, blog/)
    })
  })

  describe('disable, enable and the lists', () => {
    it('wait until servers have followed', async () => {
      await json('up', await page('one'))

      assert.equal((await json('disable', 'shop')).operation.state, 'live')
      assert.equal((await json('enable', 'shop')).deployment.status, 'active')
    })

    it('print one JSON document each, and a table for people', async () => {
      await json('up', await page('one'))
      for (const command of ['applications', 'sites', 'deployments', 'builds']) {
        assert.equal((await json(command)).items.length, 1, command)
        assert.match((await line.berth(command)).out, /^NAME .*\n\S+ /)
      }
      assert.equal((await json('versions', 'shop')).items[0].number, 1)
    })

    it('never let a name or a note from elsewhere steer the terminal', async () => {
      await json('up', await page('one'))
      Object.assign(line.api.deployments.applications[0] ?? {}, { name: 'evil\u001b]0;title\u0007\nname' })

      assert.match((await line.berth('applications')).out, /evil\ufffd\]0;title\ufffd\ufffdname/)
    })
  })

  describe('names', () => {
    it('are found by name or id; unknown ones get what exists, with exit code 4', async () => {
      await json('up', await page('one'))

      for (const args of [
        ['status', 'nope'],
        ['rollback', 'nope'],
        ['disable', 'nope'],
        ['deploy', 'nope'],
        ['versions', 'nope'],
        ['publish', await page('two'), '--application', 'nope']
      ]) {
        const { exit, message } = await failure(...args)
        assert.equal(exit, 4)
        assert.match(message, /there is no .*nope; there are: shop/)
      }
    })

    it('that several things have are refused with their ids and exit code 2', async () => {
      await json('up', await page('one'))
      await json('up', await page('one', 'blog'))
      const { deployments } = line.api.deployments
      for (const deployment of deployments) Object.assign(deployment, { name: 'production' })

      const { exit, code, message } = await failure('rollback', 'production')

      assert.deepEqual([exit, code], [2, 'ambiguous'])
      for (const { id } of deployments) assert.ok(message.includes(id))
    })
  })
})

const isPost =
  (ending: string) =>
  ({ method, path }: { method: string; path: string }) =>
    method === 'POST' && path.endsWith(ending)
