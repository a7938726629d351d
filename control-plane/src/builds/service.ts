import type { Build, BuildList, BuildRequest } from '@berth/shared/api/builds'
import { type BuildStatement, parseBuildStatement } from '@berth/shared/build'
import { parseEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { openFirstRoot, openStatement } from '@berth/shared/trust'
import { type Caller, change } from '../platform/change.ts'
import { type Db, inTransaction } from '../platform/database.ts'
import { refusal } from '../platform/errors.ts'
import * as store from './store.ts'

const statementBytesMax = 64 * 1024

type Deps = { readonly db: Db; readonly objects: Objects }

export const buildService = ({ db, objects }: Deps) => ({
  list: (): Promise<BuildList> => inTransaction(db, async (tx) => ({ items: (await store.listBuilds(tx)).map(present) })),

  /** Offers a build that the vendor signed and whose files lie in the store: what is not so is never offered. */
  offer: async (caller: Caller, request: BuildRequest): Promise<Build> => {
    const { name, version, platform, digest, size, requires } = await readStatement(objects, request)
    return change(db, caller, undefined, async (tx) => {
      const row = await store.insertBuild(tx, { name, version, platform, digest, size, requires })
      if (!row) throw refusal('build_taken', `${name} ${version} for ${platform} is offered already`)
      return { object: `build/${row.id}`, detail: { name, version, platform, digest }, answer: present(row) }
    })
  }
})
export type BuildService = ReturnType<typeof buildService>

const readStatement = async (objects: Objects, { name, version, platform }: BuildRequest): Promise<BuildStatement> => {
  const [root, envelope, archive] = await Promise.all([
    getBytes(objects, layout.root(1)),
    getBytes(objects, layout.buildStatement(name, version, platform), { bytesMax: statementBytesMax }),
    objects.head(layout.build(name, version, platform))
  ])
  if (!root) throw new Error('the store holds no root of trust')
  if (!envelope || !archive) throw refusal('bad_build', `the store does not hold ${name} ${version} for ${platform}`)
  const statement = parseBuildStatement(openStatement(openFirstRoot(parseEnvelope(root)), envelope, 'build'))
  if (statement.name !== name || statement.version !== version || statement.platform !== platform)
    throw refusal('bad_build', 'the statement beside this build is about another one')
  if (statement.size !== archive.size)
    throw refusal('bad_build', `the archive has ${archive.size} bytes, and ${statement.size} were signed`)
  return statement
}

const present = ({ id, name, version, platform, status, size }: store.BuildRow): Build => ({
  id,
  name,
  version,
  platform,
  status,
  size
})
