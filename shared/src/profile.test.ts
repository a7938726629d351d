import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { profilePath, readProfiles, removeProfile, saveProfile } from './profile.ts'

const profile = { api: 'http://127.0.0.1:3000', token: 'secret-token', email: 'owner@example.com' }

describe('the profile file', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-profile-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('lies where the override says, else in the configuration folder, else below the home folder', () => {
    assert.equal(profilePath({ override: '/x/p.json', configHome: '/c', home: '/h' }), '/x/p.json')
    assert.equal(profilePath({ configHome: '/c', home: '/h' }), join('/c', 'berth', 'profile.json'))
    assert.equal(profilePath({ configHome: '', home: '/h' }), join('/h', '.config', 'berth', 'profile.json'))
  })

  it('can be read by nobody but its owner, nor can its folder', async () => {
    const path = join(folder, 'new', 'berth', 'profile.json')

    await saveProfile(path, 'default', profile)

    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal((await stat(join(folder, 'new', 'berth'))).mode & 0o777, 0o700)
    assert.deepEqual(await readProfiles(path), { current: 'default', profiles: { default: profile } })
  })

  it('is refused when others can read it, and left as it is', async () => {
    const path = join(folder, 'open.json')
    await saveProfile(path, 'default', profile)
    await chmod(path, 0o640)
    const before = await readFile(path, 'utf8')

    await assert.rejects(readProfiles(path), { name: 'Refusal', code: 'profile_readable_by_others' })
    await assert.rejects(saveProfile(path, 'other', profile), { code: 'profile_readable_by_others' })

    assert.equal(await readFile(path, 'utf8'), before)
  })

  it('keeps the other profiles when one is saved or removed', async () => {
    const path = join(folder, 'several.json')
    await saveProfile(path, 'one', profile)
    await saveProfile(path, 'two', { ...profile, email: 'two@example.com' })

    await removeProfile(path, 'two')
    await removeProfile(path, 'never-there')

    assert.deepEqual(await readProfiles(path), { current: 'two', profiles: { one: profile } })
  })

  it('is nothing when there is none, and refused with the field when it is not as its schema says', async () => {
    const path = join(folder, 'broken.json')
    await writeFile(path, JSON.stringify({ current: 'a', profiles: { a: { ...profile, api: 'ftp://x' } } }), { mode: 0o600 })

    assert.equal(await readProfiles(join(folder, 'none.json')), undefined)
    await assert.rejects(readProfiles(path), { code: 'bad_profile', field: '/profiles/a/api' })
  })
})
