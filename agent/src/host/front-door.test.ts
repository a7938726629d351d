import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { serveControl } from '@berth/shared/control-socket'
import { frontSocket } from '../front/files.ts'
import { frontDoor } from './front-door.ts'

const table = { generation: 1, ready: true, routes: [] }
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-door-'))
  await chmod(folder, 0o711)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('the door to the front', () => {
  it('leaves its table on disk, and counts no request, while the front is down', async () => {
    const door = frontDoor(folder)

    await door.route(table)
    assert.deepEqual(await door.observe(), { table, frontUp: false, frontUntold: false })
    assert.equal(await door.inFlight('d', 'r'), 0)
    await door.cut('d', 'r')
  })

  it('never takes a front that is slow for one that is down: what it has under way is unknown', async () => {
    const door = frontDoor(folder, { answerMsMax: 50 })
    await door.route(table)
    const never = () => new Promise<never>(() => undefined)
    const slow = await serveControl(await frontSocket(folder), {
      'GET /table': never,
      'PUT /table': never,
      'GET /stats': never,
      'POST /cut': never
    })
    try {
      const noAnswer = { code: 'no_answer' }
      await assert.rejects(door.route({ ...table, generation: 2 }), noAnswer)
      await assert.rejects(door.inFlight('d', 'r'), noAnswer)
      await assert.rejects(door.cut('d', 'r'), noAnswer)
      assert.deepEqual(await door.observe(), { table, frontUp: false, frontUntold: false })
    } finally {
      await slow.close()
    }
  })
})
