import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Static, Type } from 'typebox'
import { Uuid } from './fields.ts'
import { writeFileAtomic } from './files.ts'
import { jsonParser } from './parse.ts'
import { Refusal } from './refusal.ts'

/** One place where a person is signed in. The token is a secret: whoever reads it is that person until it expires. */
export const Profile = Type.Object(
  {
    api: Type.String({ pattern: '^https?://', maxLength: 2048 }),
    token: Type.String({ minLength: 1, maxLength: 4096 }),
    email: Type.String({ minLength: 3, maxLength: 320 }),
    /** The subscription that commands speak of when none is named. */
    subscription: Type.Optional(Uuid)
  },
  { additionalProperties: false }
)
export type Profile = Static<typeof Profile>

/** All profiles of one person on one machine. */
export const ProfileFile = Type.Object(
  {
    current: Type.String({ minLength: 1, maxLength: 64 }),
    profiles: Type.Record(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }), Profile)
  },
  { additionalProperties: false }
)
export type ProfileFile = Static<typeof ProfileFile>

const parseProfileFile = jsonParser(ProfileFile, 'the profile file', 'bad_profile')

/** Where the profile file lies; the caller reads the environment (BERTH_PROFILE, XDG_CONFIG_HOME) and the home folder. */
export const profilePath = (o: { override?: string | undefined; configHome?: string | undefined; home: string }): string =>
  o.override || join(o.configHome || join(o.home, '.config'), 'berth', 'profile.json')

/** The profiles, or nothing when there is no file. Refuses a file that others can read: its tokens must be taken as known to them. */
export const readProfiles = async (path: string): Promise<ProfileFile | undefined> => {
  const text = await readPrivateText(path)
  return text === undefined ? undefined : parseProfileFile(text)
}

/** Adds or replaces one profile and makes it the current one. The file is replaced as a whole, its folder made when missing. */
export const saveProfile = async (path: string, name: string, profile: Profile): Promise<void> => {
  const before = await readProfiles(path)
  await writeProfiles(path, { current: name, profiles: { ...before?.profiles, [name]: profile } })
}

/** Removes one profile; another one becomes current only when a person signs in or names it. */
export const removeProfile = async (path: string, name: string): Promise<void> => {
  const before = await readProfiles(path)
  if (!before || !Object.hasOwn(before.profiles, name)) return
  const { [name]: _removed, ...profiles } = before.profiles
  await writeProfiles(path, { current: before.current, profiles })
}

const writeProfiles = async (path: string, file: ProfileFile): Promise<void> => {
  const text = `${JSON.stringify(file, null, 2)}\n`
  parseProfileFile(text) // what could not be read back is never written
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFileAtomic(path, text, 0o600)
}

/** Mode and bytes come from one open file, so that it cannot be exchanged between the look and the read. */
const readPrivateText = async (path: string): Promise<string | undefined> => {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (!file) return undefined
  try {
    const { mode } = await file.stat()
    // Windows has no such bits: there the folder's access list keeps others out.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw new Refusal(
        'profile_readable_by_others',
        `${path} can be read by others (mode ${(mode & 0o777).toString(8)}), so nothing of it is used; sign in again after removing it, or chmod 600 it if nobody had the chance`
      )
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
