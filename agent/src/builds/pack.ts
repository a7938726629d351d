import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { access, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { constants, createZstdCompress } from 'node:zlib'
import type { BuildRef, BuildStatement } from '@berth/shared/build'
import { create } from 'tar'

/** The builds that come with Berth. */
export type OwnBuild = 'node' | 'static'

const staticVersion = '1.0.0'
// The node binary is most of it, and packing it is part of the first start.
const zstdLevel = 1

/**
 * Packs one of our own builds as a `.tar.zst`: the same files always give the same bytes. `node` is the Node program itself
 * and a launcher; `static` is a script that runs on the `node` build named in `requires`.
 */
export const packBuild = async (
  name: OwnBuild,
  o: { readonly outFile: string; readonly node: string; readonly nodeVersion: string; readonly requires?: readonly BuildRef[] }
): Promise<BuildStatement> => {
  const sources = await sourcesOf(name, o.node)
  const staging = await mkdtemp(join(tmpdir(), 'berth-build-'))
  try {
    for (const [path, source] of sources) {
      await mkdir(dirname(join(staging, path)), { recursive: true })
      await symlink(source, join(staging, path))
    }
    const packed = await writeArchive(staging, [...sources.keys()].sort(), o.outFile)
    return {
      name,
      version: name === 'node' ? o.nodeVersion : staticVersion,
      platform: `${process.platform}-${process.arch}`,
      ...packed,
      requires: [...(o.requires ?? [])]
    }
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** Path in the archive → where the file lies. */
const sourcesOf = async (name: OwnBuild, node: string): Promise<Map<string, string>> => {
  const folder = fileURLToPath(new URL(name, import.meta.url))
  const sources = new Map((await readdir(folder)).filter(isShipped).map((file) => [file, join(folder, file)]))
  if (name === 'static') return sources
  sources.set('bin/node', node)
  const license = join(dirname(node), '..', 'LICENSE')
  const hasLicense = await access(license).then(
    () => true,
    () => false
  )
  if (hasLicense) sources.set('LICENSE', license)
  return sources
}

const isShipped = (file: string): boolean => !file.endsWith('.test.ts')

const writeArchive = async (folder: string, paths: string[], outFile: string): Promise<{ size: number; digest: string }> => {
  const partial = `${outFile}.partial`
  const hash = createHash('sha256')
  let size = 0
  const measure = new Transform({
    transform: (chunk: Buffer, _, done) => {
      hash.update(chunk)
      size += chunk.length
      done(null, chunk)
    }
  })
  // `portable` and one time for all: nothing of this machine gets into the bytes. `follow`: the staging folder holds links only.
  const tar = create({ cwd: folder, portable: true, follow: true, mtime: new Date(0), noDirRecurse: true }, paths)
  const zstd = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: zstdLevel } })
  try {
    await pipeline(tar, zstd, measure, createWriteStream(partial))
    await rename(partial, outFile)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
  return { size, digest: hash.digest('hex') }
}
