import { join } from 'node:path'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { jsonParser } from '@berth/shared/parse'
import { Type } from 'typebox'
import type { PoolIdentity } from '../host/host.ts'

/** Above every range that distributions give to people, services and containers by default. */
const firstUid = 200_000

const parseTable = jsonParser(
  Type.Object(
    { next: Type.Integer({ minimum: firstUid }), uids: Type.Record(Type.String(), Type.Integer({ minimum: firstUid })) },
    { additionalProperties: false }
  ),
  "this server's table of identities",
  'bad_identities'
)

/** One uid (and gid of the same number) for each deployment, from a table on this server; a number is never given twice. */
export const identities = async (stateFolder: string) => {
  const file = join(stateFolder, 'identities.json')
  const text = await readTextIfThere(file)
  let table: ReturnType<typeof parseTable> = text === undefined ? { next: firstUid, uids: {} } : parseTable(text)
  let writing: Promise<unknown> = Promise.resolve()

  return {
    /** The identity of this deployment, made when it is first asked for; on disk before it is answered. */
    get: (name: string): Promise<PoolIdentity> => {
      const answer = writing.then(async () => {
        const known = table.uids[name]
        if (known !== undefined) return { uid: known, gid: known }
        const uid = table.next
        const grown = { next: uid + 1, uids: { ...table.uids, [name]: uid } }
        await writeFileAtomic(file, JSON.stringify(grown))
        table = grown
        return { uid, gid: uid }
      })
      writing = answer.catch(() => undefined)
      return answer
    }
  }
}
