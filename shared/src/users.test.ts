import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { access, chmod, chown, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { systemClock } from './clock.ts'
import { eventually } from './testing/eventually.ts'
import { endUser, processesOfUser, removeOwnedFolder } from './users.ts'

const other = { uid: 61_235, gid: 61_235 }
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-users-'))
  await chmod(folder, 0o711)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const canBeOthers = process.platform === 'linux' && process.getuid?.() === 0
describe('another user', { skip: !canBeOthers && 'not root on Linux' }, () => {
  it('has no process left when it is ended, also of those that left their group and hold out against SIGTERM', async () => {
    const line = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 600' & sleep 600"
    spawn('/bin/sh', ['-c', line], { ...other, cwd: '/', stdio: 'ignore', detached: true })
    await eventually(async () => (await processesOfUser(other.uid)).length >= 3)

    await endUser(other, systemClock)

    assert.deepEqual(await processesOfUser(other.uid), [])
  })

  it('is never ourselves', async () => {
    await assert.rejects(endUser({ uid: 0, gid: 0 }, systemClock), /refusing/)
  })

  it('is whose rights its folder is emptied with: what only we may remove stays, and we are told', async () => {
    const [theirs, ours] = [join(folder, 'theirs'), join(folder, 'theirs', 'ours')]
    await mkdir(ours, { recursive: true })
    await writeFile(join(ours, 'kept'), '')
    await chown(theirs, other.uid, other.gid)

    await assert.rejects(removeOwnedFolder(theirs), { code: 'not_removed' })

    await access(join(ours, 'kept'))
  })

  it('loses its folder whole, closed folders too, and nothing that links lead to', async () => {
    const [theirs, outside] = [join(folder, 'theirs'), join(folder, 'outside')]
    await mkdir(join(theirs, 'closed', 'deep'), { recursive: true })
    await mkdir(outside)
    await writeFile(join(outside, 'kept'), '')
    await writeFile(join(theirs, '.hidden'), '')
    await symlink(outside, join(theirs, 'link'))
    for (const path of ['.', 'closed', 'closed/deep', '.hidden']) await chown(join(theirs, path), other.uid, other.gid)
    await chmod(join(theirs, 'closed'), 0)

    await removeOwnedFolder(theirs)
    await removeOwnedFolder(theirs)

    assert.deepEqual(await readdir(folder), ['outside'])
    await access(join(outside, 'kept'))
  })
})
