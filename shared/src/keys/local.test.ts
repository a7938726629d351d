import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { contractKeys, keysContract } from './contract.ts'
import { KeysError, type KeysErrorCode } from './keys.ts'
import { createLocalKey, disableLocalKey, localKeys } from './local.ts'

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'berth-keys-'))

const fails = (code: KeysErrorCode) => (error: unknown) => error instanceof KeysError && error.code === code

keysContract('local files', async () => {
  const folder = await newFolder()
  for (const purpose of ['wrap', 'sign'] as const)
    for (const name of contractKeys[purpose]) await createLocalKey({ folder, name, purpose })
  return {
    keys: await localKeys({ folder }),
    reopen: () => localKeys({ folder }),
    disable: (name) => disableLocalKey({ folder, name }),
    close: () => rm(folder, { recursive: true })
  }
})

describe('local key files', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await newFolder()
  })
  afterEach(() => rm(folder, { recursive: true }))

  const createUploads = () => createLocalKey({ folder, name: 'uploads', purpose: 'wrap' })

  it('are readable by their owner only, and leave nothing else behind', async () => {
    await createUploads()

    assert.deepEqual(await readdir(folder), ['uploads.key.json'])
    assert.equal((await stat(join(folder, 'uploads.key.json'))).mode & 0o777, 0o600)
  })

  it('stop the start when others may read one of them, or their folder', async () => {
    await createUploads()
    await chmod(join(folder, 'uploads.key.json'), 0o640)
    await assert.rejects(localKeys({ folder }), fails('refused'))

    await chmod(join(folder, 'uploads.key.json'), 0o600)
    await chmod(folder, 0o755)
    await assert.rejects(localKeys({ folder }), fails('refused'))

    await chmod(folder, 0o700)
    await localKeys({ folder })
  })

  it('are unavailable when their folder is not there', async () => {
    await assert.rejects(localKeys({ folder: join(folder, 'none') }), fails('unavailable'))
  })

  it('are refused at their next use when others may read them since', async () => {
    await createUploads()
    const keys = await localKeys({ folder })

    await chmod(join(folder, 'uploads.key.json'), 0o604)

    await assert.rejects(keys.dataKey('uploads', { purpose: 'x' }), fails('refused'))
  })

  it('are found when they are made after the start', async () => {
    const keys = await localKeys({ folder })
    await assert.rejects(keys.dataKey('uploads', { purpose: 'x' }), fails('missing'))

    await createUploads()

    await keys.dataKey('uploads', { purpose: 'x' })
  })

  it('are made once, also by many at the same time, and never for another purpose', async () => {
    await Promise.all(Array.from({ length: 8 }, createUploads))
    const before = await readFile(join(folder, 'uploads.key.json'))
    await createUploads()

    assert.deepEqual(await readFile(join(folder, 'uploads.key.json')), before)
    await assert.rejects(createLocalKey({ folder, name: 'uploads', purpose: 'sign' }), fails('wrong_purpose'))
  })

  it('answer for their own name only, and no name leads out of the folder', async () => {
    await createUploads()
    const keys = await localKeys({ folder })
    await writeFile(join(folder, 'other.key.json'), await readFile(join(folder, 'uploads.key.json')), { mode: 0o600 })

    await assert.rejects(keys.dataKey('other', { purpose: 'x' }), fails('missing'))
    for (const name of ['../uploads', 'a/b', '', '.', 'uploads\0'])
      await assert.rejects(keys.dataKey(name, { purpose: 'x' }), fails('refused'))
  })

  it('that are damaged are unavailable, and no part of them is told', async () => {
    await writeFile(join(folder, 'uploads.key.json'), '{"secret":"c2VjcmV0"', { mode: 0o600 })
    const keys = await localKeys({ folder })

    await assert.rejects(
      keys.dataKey('uploads', { purpose: 'x' }),
      (error) => fails('unavailable')(error) && !inspect(error).includes('c2Vj')
    )
  })

  it('open no wrapping of which any one byte was changed', async () => {
    await createUploads()
    const keys = await localKeys({ folder })
    const { wrapped } = await keys.dataKey('uploads', { purpose: 'x' })

    await fc.assert(
      fc.asyncProperty(fc.nat(wrapped.length - 1), fc.integer({ min: 1, max: 255 }), async (index, change) => {
        const changed = Buffer.from(wrapped)
        changed.writeUInt8(changed.readUInt8(index) ^ change, index)
        await assert.rejects(keys.unwrap('uploads', changed, { purpose: 'x' }), fails('wrong_context'))
      })
    )
  })
})
