import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openState } from './cloud-files.ts'
import { openStateFile, serverName } from './state.ts'

describe('what the supervisor remembers', () => {
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-state-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('gives no two servers the same name', () => {
    const names = new Set(Array.from({ length: 100_000 }, (_, births) => serverName({ births, firstName: 0xfffffff0 })))

    assert.equal(names.size, 100_000)
    for (const name of [...names].slice(0, 100)) assert.match(name, /^s-[0-9a-f]{8}$/)
  })

  it('loses none of the changes that are made at once', async () => {
    const file = join(folder, 'counts.json')
    const counts = await openStateFile<number[]>(file, JSON.parse, async () => [])

    await Promise.all(Array.from({ length: 20 }, (_, index) => counts.update((value) => [...value, index])))

    assert.deepEqual(
      counts.now(),
      Array.from({ length: 20 }, (_, index) => index)
    )
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), counts.now())
  })

  it('goes on after a change that was refused', async () => {
    const counts = await openStateFile<number[]>(join(folder, 'refused.json'), JSON.parse, async () => [])

    await assert.rejects(
      counts.update(() => {
        throw new Error('refused')
      }),
      /refused/
    )

    assert.deepEqual(await counts.update((value) => [...value, 1]), [1])
  })

  it('does not begin anew over a damaged file', async () => {
    await writeFile(join(folder, 'state.json'), '{"format":1')

    await assert.rejects(openState(folder, undefined), { code: 'bad_state' })

    assert.equal(await readFile(join(folder, 'state.json'), 'utf8'), '{"format":1')
  })
})
