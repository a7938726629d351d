import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { chmod, readFile, stat } from 'node:fs/promises'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { readProfiles, saveProfile } from '@berth/shared/profile'
import { type CommandLine, commandLine, runWith } from '../testing/command-line.ts'

describe('signing in', () => {
  let line: CommandLine
  beforeEach(async () => {
    line = await commandLine()
  })
  afterEach(() => line.close())

  const login = (...more: readonly string[]) =>
    line.berthWithInput(`${line.api.password}\n`, 'login', '--email', line.api.email, '--password-stdin', ...more)

  it('keeps token, address and subscription in a file that only its owner can read, and the password nowhere', async () => {
    const { code, out, err } = await login()

    assert.deepEqual([code, out], [0, `Signed in to ${line.api.url} as ${line.api.email}, subscription Acme.\n`], err)
    assert.equal((await stat(line.profilePath)).mode & 0o777, 0o600)
    const text = await readFile(line.profilePath, 'utf8')
    assert.equal(text.includes(line.api.password), false)
    const profile = (await readProfiles(line.profilePath))?.profiles.default
    assert.deepEqual([profile?.api, profile?.subscription], [line.api.url, line.api.subscription.id])
    assert.equal((await line.berth('whoami')).code, 0)
  })

  it('with a wrong password changes nothing', async () => {
    const { code, err } = await line.berthWithInput('wrong', 'login', '--email', line.api.email, '--password-stdin', '--json')

    assert.equal(code, 3)
    assert.equal(JSON.parse(err).code, 'sign_in_refused')
    assert.equal(await readProfiles(line.profilePath), undefined)
  })

  it('takes no password from the arguments, nor from a pipe unless told to', async () => {
    assert.equal((await line.berth('login', '--email', line.api.email, '--password', 'x')).code, 2)
    const { code, err } = await line.berthWithInput(line.api.password, 'login', '--email', line.api.email)
    assert.equal(code, 2)
    assert.match(err, /--password-stdin/)
  })

  it('asks at a terminal, and echoes the e-mail address but never the password', async () => {
    const keys = [`${line.api.email.slice(0, -1)}xx\u007f\u007fm\r`, `not it\u0015${line.api.password}\r`]
    const modes: boolean[] = []
    const stdin = Object.assign(typed(keys), { isTTY: true, setRawMode: (on: boolean) => modes.push(on) })

    const { code, err } = await runWith({ api: line.api, profilePath: line.profilePath }, ['login'], stdin)

    assert.equal(code, 0, err)
    assert.ok(err.startsWith('E-mail: owner@example.co'))
    for (const secret of [line.api.password, 'not it', '\b \b'.repeat(3)]) assert.equal(err.includes(secret), false)
    assert.deepEqual(modes, [true, false, true, false])
  })

  it('is given up by Ctrl-C, and the terminal echoes again', async () => {
    const modes: boolean[] = []
    const stdin = Object.assign(typed(['abc\u0003']), { isTTY: true, setRawMode: (on: boolean) => modes.push(on) })

    const { code } = await runWith({ api: line.api, profilePath: line.profilePath }, ['login'], stdin)

    assert.equal(code, 1)
    assert.deepEqual(modes, [true, false])
  })

  it('sends no password in the clear beyond this machine', async () => {
    for (const api of ['http://berth.example.com', 'http://127.0.0.1.example.com', 'ftp://localhost', 'nonsense']) {
      const { code } = await login('--api', api)
      assert.equal(code, 2, api)
    }
    assert.equal(line.api.requests.length, 0)
  })

  it('keeps several profiles apart, and uses the last one unless another is named', async () => {
    await login('--profile', 'one')
    await login('--profile', 'two')

    assert.equal(JSON.parse((await line.berth('whoami', '--json')).out).profile, 'two')
    assert.equal(JSON.parse((await line.berth('--profile', 'one', 'whoami', '--json')).out).profile, 'one')
    const { code, err } = await line.berth('whoami', '--profile', 'three', '--json')
    assert.equal(code, 3)
    assert.match(JSON.parse(err).message, /there are the profiles one, two/)
  })

  it('ends by logout, after which every command asks to sign in', async () => {
    await login()

    assert.equal((await line.berth('logout')).code, 0)

    assert.deepEqual((await readProfiles(line.profilePath))?.profiles, {})
    const { code, err } = await line.berth('sites', '--json')
    assert.deepEqual([code, JSON.parse(err).code], [3, 'not_signed_in'])
    assert.equal(line.api.requests.filter(({ method }) => method === 'DELETE').length, 1)
  })

  it('is forgotten by logout although the API is away, which says that the session stays open', async () => {
    await login()
    line.api.faults.push(...Array.from({ length: 9 }, () => ({ when: () => true, what: 'reset' as const })))

    const { code, err } = await line.berth('logout', '--json')

    assert.equal(code, 6)
    assert.match(JSON.parse(err).message, /was removed from this machine, but the session stays open/)
    assert.deepEqual((await readProfiles(line.profilePath))?.profiles, {})
  })

  it('has ended when the API no longer knows the token: exit code 3', async () => {
    await saveProfile(line.profilePath, 'default', { api: line.api.url, token: randomUUID(), email: 'a@b.c' })

    assert.equal((await line.berth('sites')).code, 3)
  })

  it('is refused from a profile that others can read', async () => {
    await line.signIn()
    await chmod(line.profilePath, 0o644)

    const { code, err } = await line.berth('sites', '--json')

    assert.deepEqual([code, JSON.parse(err).code], [1, 'profile_readable_by_others'])
    assert.equal(line.api.requests.length, 0)
  })

  it('in several subscriptions asks for one, and takes its name or id', async () => {
    line.api.subscriptions.push({ id: randomUUID(), name: 'Other', role: 'owner' })
    await line.signIn()

    const { code, err } = await line.berth('sites', '--json')
    assert.deepEqual([code, JSON.parse(err).code], [2, 'ambiguous'])
    for (const wanted of ['Acme', line.api.subscription.id])
      assert.equal((await line.berth('sites', '--subscription', wanted)).code, 0)
    assert.equal((await line.berth('sites', '--subscription', 'Nobody')).code, 4)
  })

  it('without any subscription says that an operator makes one', async () => {
    line.api.subscriptions.length = 0
    await line.signIn()

    const { code, err } = await line.berth('up', line.folder)

    assert.equal(code, 4)
    assert.match(err, /has no subscription yet: an operator makes one/)
  })
})

describe('an outdated berth', () => {
  let line: CommandLine
  beforeEach(async () => {
    line = await commandLine()
    await line.signIn()
  })
  afterEach(() => line.close())

  it('says so in one line and goes on', async () => {
    line.api.cli.latest = '0.2.0'

    const { code, out, err } = await line.berth('sites', '--json')
    assert.equal(code, 0)
    assert.deepEqual(JSON.parse(out), { items: [] })
    assert.equal(JSON.parse(err).warning, 'outdated')
    assert.equal((await line.berth('sites')).err, 'berth: berth 0.1.0 is outdated: 0.2.0 is available\n')
  })

  it('below the minimum does nothing, with exit code 7', async () => {
    line.api.cli.minimum = '0.1.1'

    const { code, err } = await line.berth('up', line.folder, '--json')

    assert.deepEqual([code, JSON.parse(err).code], [7, 'outdated'])
    assert.deepEqual(
      line.api.requests.map(({ path }) => path),
      ['/v1/about']
    )
  })
})

const typed = async function* (keys: readonly string[]): AsyncGenerator<string> {
  for (const key of keys) yield key
}
