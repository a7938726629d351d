import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { zstdCompressSync } from 'node:zlib'
import { create } from 'tar'

/** A `.tar.zst` of these files. */
export const tarZst = async (files: Readonly<Record<string, string>>): Promise<Buffer> => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-archive-'))
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), content)
    }
    // `create` streams when it is given no file.
    const tar = await buffer(create({ cwd: folder, portable: true }, Object.keys(files)) as unknown as AsyncIterable<Buffer>)
    return zstdCompressSync(tar)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
