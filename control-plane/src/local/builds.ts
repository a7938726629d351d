import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type BuildRef, type BuildStatement, parseBuildStatement } from '@berth/shared/build'
import type { Signer } from '@berth/shared/dsse'
import type { Objects } from '@berth/shared/objects/objects'
import { publishBuild } from '../builds/publish.ts'

const packer = fileURLToPath(new URL('../../../agent/src/builds/pack-main.ts', import.meta.url))

/**
 * Packs, signs and stores the builds that a laptop offers; answers what was signed, for the catalogue. Later starts add the Node that
 * runs them; `static` stays on the one that it was offered with.
 */
export const makeBuilds = async (o: {
  readonly folder: string
  readonly objects: Objects
  readonly vendor: Signer
  readonly isFirst: boolean
}): Promise<BuildStatement[]> => {
  const node = await makeBuild(o, 'node', [])
  if (!o.isFirst) return [node]
  const { name, version, platform, digest } = node
  return [node, await makeBuild(o, 'static', [{ name, version, platform, digest }])]
}

const makeBuild = async (
  { folder, objects, vendor }: { folder: string; objects: Objects; vendor: Signer },
  name: 'node' | 'static',
  requires: readonly BuildRef[]
): Promise<BuildStatement> => {
  const file = join(folder, `${name}.tar.zst`)
  const { stdout } = await promisify(execFile)(process.execPath, [packer, name, file, JSON.stringify(requires)])
  const statement = parseBuildStatement(stdout)
  await publishBuild({ objects, vendor }, statement, file)
  await rm(file)
  return statement
}
