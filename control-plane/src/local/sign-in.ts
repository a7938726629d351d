import { homedir } from 'node:os'
import { Me } from '@berth/shared/api/users'
import { parser } from '@berth/shared/parse'
import { profilePath, readProfiles, saveProfile } from '@berth/shared/profile'
import { recordAudit } from '../platform/audit.ts'
import { type Db, inTransaction } from '../platform/database.ts'
import { formatToken, newSecret } from '../platform/tokens.ts'
import { insertSession } from '../users/store.ts'
import { byFirstStart, type State } from './first-start.ts'

const profileName = 'local'
const sessionSeconds = 30 * 86_400
const parseMe = parser(Me, 'the answer of /v1/me')

export const profileFileOf = (environment: Readonly<Record<string, string | undefined>>): string =>
  profilePath({
    override: environment.BERTH_PROFILE,
    configHome: environment.XDG_CONFIG_HOME,
    home: environment.HOME ?? homedir()
  })

/** Signs the command line in as the owner, unless its profile still is; answers the token. */
export const signInOwner = async ({
  db,
  api,
  file,
  state
}: {
  db: Db
  api: string
  file: string
  state: State
}): Promise<string> => {
  const { owner, subscription } = state
  if (!owner || !subscription) throw new Error('the first start notes the owner before anybody signs in')
  const known = (await readProfiles(file))?.profiles[profileName]
  const token =
    known?.email === owner.email && known.api === api && (await isSignedIn(api, known.token, owner.id))
      ? known.token
      : await makeSession(db, owner.id)
  await saveProfile(file, profileName, { api, token, email: owner.email, subscription })
  return token
}

const isSignedIn = async (api: string, token: string, user: string): Promise<boolean> => {
  const answer = await fetch(`${api}/v1/me`, { headers: { authorization: `Bearer ${token}` } })
  return answer.ok && parseMe(await answer.json()).user.id === user
}

const makeSession = async (db: Db, userId: string): Promise<string> => {
  const { secret, hash } = newSecret()
  return inTransaction(db, async (tx) => {
    const session = await insertSession(tx, { userId, tokenHash: hash, seconds: sessionSeconds })
    if (!session) throw new Error('a session that was inserted was not answered')
    await recordAudit(tx, {
      ...byFirstStart,
      action: 'session.create',
      object: `session/${session.id}`,
      detail: { user: userId }
    })
    return formatToken(session.id, secret)
  })
}
