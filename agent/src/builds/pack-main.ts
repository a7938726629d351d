import { type BuildRef, BuildRef as BuildRefSchema } from '@berth/shared/build'
import { jsonParser } from '@berth/shared/parse'
import { Type } from 'typebox'
import { type OwnBuild, packBuild } from './pack.ts'

/** `pack-main.ts node|static <archive> [<JSON of required builds>]`: packs a build and prints its statement, unsigned. */
const parseRequires = jsonParser(Type.Array(BuildRefSchema), 'the required builds')
const isOwnBuild = (name: string | undefined): name is OwnBuild => name === 'node' || name === 'static'

const [name, outFile, requiresJson] = process.argv.slice(2)
if (!isOwnBuild(name) || outFile === undefined) {
  console.error('usage: pack-main.ts node|static <archive> [<JSON of required builds>]')
  process.exit(2)
}
const requires: BuildRef[] = requiresJson === undefined ? [] : parseRequires(requiresJson)
const statement = await packBuild(name, { outFile, node: process.execPath, nodeVersion: process.versions.node, requires })
console.log(JSON.stringify(statement))
