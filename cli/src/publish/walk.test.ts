import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { walkFolder } from './walk.ts'

const limits = { filesMax: 100, bytesMax: 10_000 }

describe('walking a folder', () => {
  let folder = ''
  let made = 0
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-walk-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const rootWith = async (...paths: readonly string[]): Promise<string> => {
    const root = join(folder, `root-${made++}`)
    await mkdir(root)
    for (const path of paths) {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), path)
    }
    return root
  }
  const refused = async (root: string, code: string, message: RegExp) => {
    await assert.rejects(walkFolder(root, limits), (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.equal(error.code, code)
      assert.match(error.message, message)
      return true
    })
  }

  it('finds every file, ascending by UTF-16 code units across folders, with size and executable bit', async () => {
    const root = await rootWith('b.txt', 'a/z.txt', 'a-b.txt', 'a.txt', 'Z.txt', '𐀀.txt', '\uff21.txt')
    await chmod(join(root, 'b.txt'), 0o755)

    const { files, bytes } = await walkFolder(root, limits)

    const paths = files.map(({ path }) => path)
    assert.deepEqual(paths, ['Z.txt', 'a-b.txt', 'a.txt', 'a/z.txt', 'b.txt', '𐀀.txt', '\uff21.txt'])
    assert.deepEqual(paths, paths.toSorted())
    assert.deepEqual(
      files.filter(({ executable }) => executable).map(({ path }) => path),
      ['b.txt']
    )
    assert.equal(
      bytes,
      files.reduce((sum, { path }) => sum + Buffer.byteLength(path), 0)
    )
  })

  it('publishes names in Unicode form C, wherever they came from', async () => {
    const root = await rootWith('cafe\u0301/cre\u0300me.txt')

    const { files } = await walkFolder(root, limits)

    assert.deepEqual(
      files.map(({ path }) => path),
      ['café/crème.txt']
    )
  })

  it('leaves out what belongs to the developer’s machine, and keeps node_modules and other hidden files', async () => {
    const root = await rootWith(
      '.git/config',
      'sub/.git',
      '.berth/x',
      '.DS_Store',
      'sub/.DS_Store',
      '.env',
      'node_modules/a/index.js'
    )

    const { files } = await walkFolder(root, limits)

    assert.deepEqual(
      files.map(({ path }) => path),
      ['.env', 'node_modules/a/index.js']
    )
  })

  it('leaves out the links that npm makes in node_modules/.bin, and says how many', async () => {
    const root = await rootWith('index.js', 'node_modules/mime/cli.js', 'node_modules/.bin/script')
    await symlink('../mime/cli.js', join(root, 'node_modules', '.bin', 'mime'))

    const { files, leftOut } = await walkFolder(root, limits)

    assert.deepEqual(
      files.map(({ path }) => path),
      ['index.js', 'node_modules/.bin/script', 'node_modules/mime/cli.js']
    )
    assert.equal(leftOut, 1)
  })

  it('refuses a link out of the folder, absolute or relative, to a file or a folder', async () => {
    for (const target of ['/etc/passwd', '../outside.txt', '..', '../../x']) {
      const root = await rootWith('index.html')
      await symlink(target, join(root, 'link'))
      await refused(root, 'link_out_of_folder', /link is a link out of the folder/)
    }
  })

  it('refuses a link within the folder too, broken or not, and names where it leads', async () => {
    for (const target of ['index.html', './sub', 'nowhere', '..index']) {
      const root = await rootWith('index.html', 'sub/a.txt')
      await symlink(target, join(root, 'link'))
      await refused(root, 'link', /links are not published/)
    }
  })

  it('refuses pipes and sockets', async () => {
    const root = await rootWith('index.html')
    execFileSync('mkfifo', [join(root, 'pipe')])
    await refused(root, 'special_file', /pipe is a pipe/)

    const other = await rootWith('index.html')
    const server = createServer().listen(join(other, 's'))
    try {
      await refused(other, 'special_file', /s is a socket/)
    } finally {
      server.close()
    }
  })

  it('refuses names that some server could not hold', async () => {
    for (const name of [
      'con.txt',
      'sub/NUL',
      'a:b',
      'trailing.',
      'trailing ',
      'com1.js',
      'what?.txt',
      'new\nline',
      'back\\slash'
    ])
      await refused(await rootWith('index.html', name), 'bad_path', /rename it or leave it out/)
  })

  it('refuses a name that is not Unicode', async () => {
    const root = await rootWith('index.html')
    await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x66, 0xff, 0xfe])]), '')
    await refused(root, 'bad_path', /not valid Unicode/)
  })

  it('refuses two names that are one where case is ignored, or in form C', async () => {
    await refused(await rootWith('A.txt', 'a.txt'), 'path_collision', /A\.txt.*a\.txt/)
    await refused(await rootWith('Sub/a.txt', 'sub/b.txt'), 'path_collision', /ub/)
    await refused(await rootWith('caf\u00e9.txt', 'cafe\u0301.txt'), 'path_collision', /café/)
  })

  it('refuses a folder without files, one that is no folder, and one that is not there', async () => {
    await refused(await rootWith(), 'no_files', /no file to publish/)
    await refused(await rootWith('.git/config'), 'no_files', /no file to publish/)
    await refused(join(await rootWith('index.html'), 'index.html'), 'no_folder', /is not a folder/)
    await refused(join(folder, 'missing'), 'no_folder', /there is no folder/)
  })

  it('refuses more files or bytes than the limits', async () => {
    const many = await rootWith(...Array.from({ length: 101 }, (_, index) => `${index}.txt`))
    await refused(many, 'too_many_files', /more than 100 files/)

    const large = await rootWith('small.txt')
    await writeFile(join(large, 'large.bin'), Buffer.alloc(10_000))
    await refused(large, 'too_large', /more than 10000 bytes/)
  })
})
