import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rename, rm, symlink, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { sha256Hex } from '@berth/shared/canonical'
import { pieceBytesMax, sliceBytes } from '@berth/shared/manifest'
import { hashFolder, readPieces } from './pieces.ts'
import { type FoundFolder, walkFolder } from './walk.ts'

const limits = { filesMax: 100, bytesMax: 100_000_000 }

describe('reading pieces', () => {
  let folder = ''
  let made = 0
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-pieces-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const folderWith = async (bytes: Uint8Array): Promise<{ found: FoundFolder; location: string }> => {
    const root = await mkdtemp(join(folder, `${made++}-`))
    const location = join(root, 'file.bin')
    await writeFile(location, bytes)
    return { found: await walkFolder(root, limits), location }
  }

  it('makes one piece of a file up to 8 MiB, an empty one too, and slices of 4 MiB of a larger one', async () => {
    for (const [size, lengths] of [
      [0, [0]],
      [1, [1]],
      [pieceBytesMax, [pieceBytesMax]],
      [pieceBytesMax + 1, [sliceBytes, sliceBytes, 1]],
      [3 * sliceBytes, [sliceBytes, sliceBytes, sliceBytes]]
    ] as const) {
      const bytes = Buffer.alloc(size, 'x')
      const { found } = await folderWith(bytes)

      const { files } = await hashFolder(found)

      // Every byte is the same, so only the lengths tell the slices apart.
      assert.deepEqual(
        files[0]?.pieces,
        lengths.map((length) => sha256Hex(bytes.subarray(0, length)))
      )
    }
  })

  it('refuses a file that changes between the walk and the read, in whatever way', async () => {
    const changes: Record<string, (location: string) => Promise<void>> = {
      grown: (location) => appendFile(location, '!'),
      shrunk: (location) => truncate(location, 3),
      touched: (location) => utimes(location, 1, 1),
      gone: unlink,
      exchanged: async (location) => {
        await writeFile(`${location}.new`, 'the same')
        await rename(`${location}.new`, location)
      },
      'now a link': async (location) => {
        await rename(location, `${location}.old`)
        await symlink(`${location}.old`, location)
      }
    }
    for (const [name, change] of Object.entries(changes)) {
      const { found, location } = await folderWith(Buffer.from('the same'))
      await change(location)
      await assert.rejects(hashFolder(found), { code: 'file_changed', message: /file\.bin changed while it was read/ }, name)
    }
  })

  it('refuses a file that changes while it is read, in whatever way', async () => {
    const bytes = Buffer.alloc(pieceBytesMax + 10, 'x')
    const changes: Record<string, (location: string) => Promise<void>> = {
      grown: (location) => appendFile(location, '!'),
      shrunk: (location) => truncate(location, sliceBytes + 5),
      'written in place': async (location) => writeFile(location, Buffer.alloc(bytes.length, 'y')),
      exchanged: async (location) => {
        await writeFile(`${location}.new`, bytes)
        await rename(`${location}.new`, location)
      },
      gone: unlink
    }
    for (const [name, change] of Object.entries(changes)) {
      const { found, location } = await folderWith(bytes)
      let isChanged = false
      const hashing = hashFolder(found, async () => {
        if (isChanged) return
        isChanged = true
        await change(location)
      })
      await assert.rejects(hashing, { code: 'file_changed' }, name)
    }
  })

  it('reads nothing more once one file was refused', async () => {
    const root = await mkdtemp(join(folder, 'many-'))
    for (let index = 0; index < 40; index++) await writeFile(join(root, `${String(index).padStart(2, '0')}.txt`), 'x')
    const found = await walkFolder(root, limits)
    await unlink(join(root, '00.txt'))
    const read: string[] = []

    await assert.rejects(
      hashFolder(found, (path) => void read.push(path)),
      { code: 'file_changed' }
    )

    const readThen = read.length
    assert.ok(readThen < 39, `${readThen} files were read`)
  })

  it('hands out the very bytes of the file', async () => {
    const bytes = Buffer.alloc(pieceBytesMax + 3, 'abc')
    const { found } = await folderWith(bytes)
    const [file] = found.files
    assert.ok(file)

    const pieces: Buffer[] = await Readable.from(readPieces(file)).toArray()

    assert.ok(Buffer.concat(pieces).equals(bytes))
  })
})
