import { join } from 'node:path'
import type { IdentityRange } from '@berth/shared/birth'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { jsonParser } from '@berth/shared/parse'
import { Refusal } from '@berth/shared/refusal'
import { Type } from 'typebox'
import type { PoolIdentity } from '../host/host.ts'

/** Above every range that distributions give to people, services and containers by default. */
const firstUid = 200_000
/** For a server that has its system for itself. */
const wholeRange: IdentityRange = { first: firstUid, count: 100_000 }

const parseTable = jsonParser(
  Type.Object(
    { next: Type.Integer({ minimum: firstUid }), uids: Type.Record(Type.String(), Type.Integer({ minimum: firstUid })) },
    { additionalProperties: false }
  ),
  "this server's table of identities",
  'bad_identities'
)

/** One uid (and gid of the same number) for each deployment, from a table on this server; a number is never given twice. */
export const identities = async (stateFolder: string, { first, count }: IdentityRange = wholeRange) => {
  const file = join(stateFolder, 'identities.json')
  const text = await readTextIfThere(file)
  let table: ReturnType<typeof parseTable> = text === undefined ? { next: first, uids: {} } : parseTable(text)
  let writing: Promise<unknown> = Promise.resolve()

  return {
    /** The identity of this deployment, made when it is first asked for; on disk before it is answered. */
    get: (name: string): Promise<PoolIdentity> => {
      const answer = writing.then(async () => {
        const known = table.uids[name]
        if (known !== undefined) return { uid: known, gid: known }
        const uid = Math.max(table.next, first)
        if (uid >= first + count)
          throw new Refusal(
            'no_identity_left',
            `this server has given all its ${count} operating-system identities; nothing was started. Replace the server`
          )
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
