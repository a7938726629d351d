import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'
import { parseBuildDescription } from '@berth/shared/build'
import { sha256Hex } from '@berth/shared/canonical'
import { extract } from 'tar'
import { type OwnBuild, packBuild } from './pack.ts'

let folder: string
let node: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-pack-'))
  // A small program stands for Node's: what is packed does not matter here, and the real one has a hundred megabytes.
  node = join(folder, 'program', 'bin', 'node')
  await mkdir(join(folder, 'program', 'bin'), { recursive: true })
  await writeFile(node, '#!/bin/sh\necho packed\n')
  await chmod(node, 0o755)
})
after(() => rm(folder, { recursive: true, force: true }))

const pack = (name: OwnBuild, file: string) =>
  packBuild(name, { outFile: join(folder, file), node, nodeVersion: '24.1.0', requires: [] })

const unpack = async (file: string): Promise<string> => {
  const to = await mkdtemp(join(folder, 'unpacked-'))
  await pipeline(Readable.from([zstdDecompressSync(await readFile(join(folder, file)))]), extract({ cwd: to }))
  return to
}

describe('packing our own builds', () => {
  for (const name of ['node', 'static'] as const)
    it(`gives the same bytes for the same files of ${name}, and says what they are`, async () => {
      const first = await pack(name, `${name}-1`)
      const second = await pack(name, `${name}-2`)

      const bytes = await readFile(join(folder, `${name}-1`))
      assert.deepEqual(second, first)
      assert.deepEqual(await readFile(join(folder, `${name}-2`)), bytes)
      assert.deepEqual([first.size, first.digest], [bytes.length, sha256Hex(bytes)])
      assert.deepEqual([first.name, first.platform], [name, `${process.platform}-${process.arch}`])
      assert.deepEqual(
        (await readdir(folder)).filter((file) => file.endsWith('.partial')),
        []
      )
    })

  it('holds everything that its description needs', async () => {
    await pack('node', 'n')
    await pack('static', 's')
    const [nodeFolder, staticFolder] = [await unpack('n'), await unpack('s')]

    for (const [build, own] of [
      [nodeFolder, nodeFolder],
      [staticFolder, staticFolder]
    ] as const) {
      const { command } = parseBuildDescription(await readFile(join(build, 'build.json')))
      for (const word of command) {
        const path = word.replace('{build}', own).replace('{requires:node}', nodeFolder)
        assert.ok((await stat(path)).isFile(), path)
      }
    }
    assert.equal((await promisify(execFile)(join(nodeFolder, 'bin', 'node'))).stdout, 'packed\n')
    assert.ok(!(await readdir(staticFolder)).some((file) => file.includes('test')))
  })
})

describe('the launcher of the node build', () => {
  const launch = fileURLToPath(new URL('node/launch.mjs', import.meta.url))
  const run = async (files: Record<string, string>) => {
    const release = await mkdtemp(join(folder, 'release-'))
    for (const [path, text] of Object.entries(files)) await writeFile(join(release, path), text)
    return promisify(execFile)(process.execPath, [launch], { cwd: release, env: {} })
  }
  const isMain = (name: string) => `console.log('${name}', require.main === module, process.argv.length)`

  it('runs the first entry that is there as the main program', async () => {
    assert.equal((await run({ 'server.js': isMain('server'), 'index.js': isMain('index') })).stdout, 'server true 2\n')
    assert.equal((await run({ 'index.js': isMain('index') })).stdout, 'index true 2\n')
    assert.equal((await run({ 'server.mjs': 'console.log(import.meta.main)' })).stdout, 'true\n')
    assert.equal((await run({ 'app.cjs': isMain('app'), 'package.json': '{"main":"app.cjs"}' })).stdout, 'app true 2\n')
  })

  it('says what it looked for when there is nothing to run', async () => {
    await assert.rejects(run({ 'readme.md': '' }), /nothing to run: the release has none of server\.js/)
  })
})
