import { type Profile, readProfiles } from '@berth/shared/profile'
import { type ApiClient, apiClient, type SubscriptionClient, subscriptionClient } from './client.ts'
import type { Environment } from './environment.ts'
import { CliError, exitCodes } from './errors.ts'
import { pick } from './names.ts'
import type { Output } from './output.ts'
import { type Send, transport } from './transport.ts'
import { checkVersion } from './version.ts'

/** The options that every command takes. */
export type GlobalOptions = { readonly json?: boolean; readonly profile?: string; readonly subscription?: string }

/** A signed-in user at one API. */
export type SignedIn = {
  readonly profileName: string
  readonly profile: Profile
  readonly send: Send
  readonly client: ApiClient
}

/** A signed-in user in one subscription: what most commands work with. */
export type Session = SignedIn & {
  readonly output: Output
  readonly clock: Environment['clock']
  readonly subscription: SubscriptionClient
}

/** Reads who is signed in; nothing is asked of the API yet. */
export const openProfile = async (environment: Environment, options: GlobalOptions): Promise<SignedIn> => {
  const file = await readProfiles(environment.profilePath)
  const profileName = options.profile ?? file?.current ?? 'default'
  const profile = file && Object.hasOwn(file.profiles, profileName) ? file.profiles[profileName] : undefined
  if (!profile) throw notSignedIn(profileName, Object.keys(file?.profiles ?? {}))
  const send = transport({ ...environment, api: profile.api, token: profile.token })
  return { profileName, profile, send, client: apiClient(send) }
}

/** Opens the profile and makes sure that this berth is not too old for its API. */
export const signedIn = async (environment: Environment, options: GlobalOptions, output: Output): Promise<SignedIn> => {
  const user = await openProfile(environment, options)
  await checkVersion(user.client, environment.version, output)
  return user
}

/** Opens the profile and chooses the subscription: the one that is named, else the profile's, else the only one. */
export const openSession = async (environment: Environment, options: GlobalOptions, output: Output): Promise<Session> => {
  const user = await signedIn(environment, options, output)
  const id = options.subscription ? await namedSubscription(user.client, options.subscription) : await ownSubscription(user)
  return { ...user, output, clock: environment.clock, subscription: subscriptionClient(user.send, id) }
}

const namedSubscription = async (client: ApiClient, wanted: string): Promise<string> =>
  pick('subscription', (await client.me()).subscriptions, wanted).id

const ownSubscription = async ({ client, profile }: SignedIn): Promise<string> => {
  if (profile.subscription) return profile.subscription
  const { subscriptions } = await client.me()
  const [only] = subscriptions
  if (only && subscriptions.length === 1) return only.id
  if (!only)
    throw new CliError('no_subscription', `${profile.email} has no subscription yet: an operator makes one`, exitCodes.notFound)
  const names = subscriptions.map(({ name }) => name).join(', ')
  throw new CliError('ambiguous', `name one of your subscriptions with --subscription: ${names}`, exitCodes.usage)
}

const notSignedIn = (name: string, others: readonly string[]): CliError => {
  const hint = others.length > 0 ? ` (there are the profiles ${others.join(', ')})` : ''
  return new CliError('not_signed_in', `not signed in as the profile ${name}${hint}: berth login`, exitCodes.notSignedIn)
}
