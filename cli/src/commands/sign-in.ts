import { readProfiles, removeProfile, saveProfile } from '@berth/shared/profile'
import { apiClient } from '../client.ts'
import type { Environment, Sink, Source } from '../environment.ts'
import { CliError, exitCodes, toCliError, usageError } from '../errors.ts'
import type { Output } from '../output.ts'
import { keyboard, readLine } from '../prompt.ts'
import { type GlobalOptions, openProfile, signedIn } from '../session.ts'
import { transport } from '../transport.ts'
import { checkVersion } from '../version.ts'

export type LoginOptions = GlobalOptions & { readonly api?: string; readonly email?: string; readonly passwordStdin?: boolean }

/** Signs in and keeps the token in the profile. The password is asked for or piped in, and kept nowhere. */
export const login = async (environment: Environment, options: LoginOptions, output: Output): Promise<void> => {
  const api = apiAddress(options.api ?? environment.givenApi ?? (await lastApi(environment, options)) ?? localApi)
  const { version } = environment
  await checkVersion(apiClient(transport({ ...environment, api })), version, output)
  const { email, password } = await credentials(environment, options)

  const { token, user } = await apiClient(transport({ ...environment, api })).signIn({ email, password })
  const { subscriptions } = await apiClient(transport({ ...environment, api, token })).me()
  const [only] = subscriptions
  const profile = options.profile ?? 'default'
  await saveProfile(environment.profilePath, profile, {
    api,
    token,
    email: user.email,
    ...(only && subscriptions.length === 1 ? { subscription: only.id } : {})
  })
  const where = only && subscriptions.length === 1 ? `, subscription ${only.name}` : ''
  output.result({ profile, api, user, subscriptions }, `Signed in to ${api} as ${user.email}${where}.`)
}

/** Ends the session at the API and forgets its token here, whether or not the API can be told. */
export const logout = async (environment: Environment, options: GlobalOptions, output: Output): Promise<void> => {
  const { client, profileName, profile } = await openProfile(environment, options)
  const failure = await client.signOut().then(() => undefined, toCliError)
  await removeProfile(environment.profilePath, profileName)
  if (failure && failure.exitCode !== exitCodes.notSignedIn)
    throw new CliError(
      failure.code,
      `the token was removed from this machine, but the session stays open until it expires: ${failure.message}`,
      failure.exitCode,
      { cause: failure }
    )
  output.result({ profile: profileName, api: profile.api }, `Signed out of ${profile.api}.`)
}

/** Who is signed in, where, and which subscriptions they have. */
export const whoami = async (environment: Environment, options: GlobalOptions, output: Output): Promise<void> => {
  const { client, profileName, profile } = await signedIn(environment, options, output)
  const { user, subscriptions } = await client.me()
  const lines = [
    `${user.email} (${user.name})${user.operator ? ', operator' : ''} at ${profile.api}, profile ${profileName}`,
    ...subscriptions.map(({ id, name, role }) => `${id === profile.subscription ? '*' : ' '} ${name} (${role}) ${id}`)
  ]
  output.result({ profile: profileName, api: profile.api, user, subscriptions }, lines.join('\n'))
}

/** Where `npm start` serves the API unless it was told otherwise. */
const localApi = 'http://127.0.0.1:7010'

const lastApi = async ({ profilePath }: Environment, options: GlobalOptions): Promise<string | undefined> => {
  const file = await readProfiles(profilePath)
  const name = options.profile ?? file?.current ?? ''
  return file && Object.hasOwn(file.profiles, name) ? file.profiles[name]?.api : undefined
}

/** A password goes over the network encrypted, or not beyond this machine. */
const apiAddress = (text: string): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) throw usageError(`${text} is not an address of an API`)
  const isLocal = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url.protocol === 'http:' && !isLocal)
    throw usageError(
      `${text} would carry your password in the clear; use https, which only addresses of this machine may do without`
    )
  return url.origin
}

const credentials = async ({ stdin, stderr }: Environment, { email, passwordStdin }: LoginOptions) => {
  if (!passwordStdin && !stdin.isTTY)
    throw usageError('there is no terminal to ask for the password on; pipe it in with --password-stdin')
  if (passwordStdin && !email) throw usageError('--password-stdin needs --email')
  const given = passwordStdin && email ? { email, password: await readLine(stdin) } : await askFor(stdin, stderr, email)
  if (given.password === '') throw usageError('the password is empty')
  return { email: given.email.trim(), password: given.password }
}

const askFor = async (stdin: Source, stderr: Sink, email: string | undefined) => {
  const person = keyboard(stdin, stderr)
  try {
    return {
      email: email ?? (await person.ask('E-mail: ', { secret: false })),
      password: await person.ask('Password: ', { secret: true })
    }
  } finally {
    await person.close()
  }
}
