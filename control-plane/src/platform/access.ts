import type { GrantRole } from '@berth/shared/api/users'

/** Who may be allowed: everybody; whoever is signed in; operators of the platform; holders of a role in the subscription. */
type Holder = 'anyone' | 'user' | 'operator' | GrantRole

/** Every action of the API and who may do it. What is not here nobody may do. */
const mayDo = {
  'about.read': ['anyone'],
  'docs.read': ['anyone'],
  'session.create': ['anyone'],
  'session.delete': ['user'],
  'me.read': ['user'],
  'builds.list': ['user'],
  'builds.create': ['operator'],
  'fleets.list': ['operator'],
  'fleets.read': ['operator'],
  'fleets.head-lost': ['operator'],
  'subscriptions.list': ['user'],
  'subscriptions.create': ['operator'],
  'subscriptions.read': ['owner', 'operator'],
  'accounts.list': ['owner'],
  'accounts.create': ['owner'],
  'accounts.read': ['owner'],
  'applications.list': ['owner'],
  'applications.create': ['owner'],
  'applications.read': ['owner'],
  'uploads.create': ['owner'],
  'uploads.send': ['owner'],
  'uploads.finish': ['owner'],
  'uploads.read': ['owner'],
  'versions.list': ['owner'],
  'versions.read': ['owner'],
  'sites.list': ['owner'],
  'sites.create': ['owner'],
  'sites.read': ['owner'],
  'deployments.list': ['owner'],
  'deployments.create': ['owner'],
  'deployments.read': ['owner'],
  'deployments.change': ['owner'],
  'deployments.roll-back': ['owner'],
  'schedules.list': ['owner'],
  'schedules.create': ['owner'],
  'releases.list': ['owner'],
  'operations.list': ['owner'],
  'operations.read': ['owner']
} as const satisfies Record<string, readonly Holder[]>
export type Action = keyof typeof mayDo

/** What an action is on: what everybody sees; oneself; what belongs to the platform; what lies in a subscription. */
export type ObjectKind = 'public' | 'self' | 'platform' | 'subscription'

type Rule = { readonly action: Action; readonly object: ObjectKind }

const inSubscription = (action: Action): Rule => ({ action, object: 'subscription' })
const below = '/v1/subscriptions/:subscription'

/** Every route of the API: what it does, to what. A route that is not here cannot be registered. */
export const rules: Readonly<Record<string, Rule>> = {
  'GET /v1/about': { action: 'about.read', object: 'public' },
  'GET /v1/health': { action: 'about.read', object: 'public' },
  'GET /openapi.json': { action: 'docs.read', object: 'public' },
  'GET /docs': { action: 'docs.read', object: 'public' },
  'GET /docs/': { action: 'docs.read', object: 'public' },
  'GET /docs/json': { action: 'docs.read', object: 'public' },
  'GET /docs/yaml': { action: 'docs.read', object: 'public' },
  'GET /docs/static/*': { action: 'docs.read', object: 'public' },
  'GET /docs/static/index.html': { action: 'docs.read', object: 'public' },
  'GET /docs/static/swagger-initializer.js': { action: 'docs.read', object: 'public' },

  'POST /v1/sign-in': { action: 'session.create', object: 'public' },
  'DELETE /v1/session': { action: 'session.delete', object: 'self' },
  'GET /v1/me': { action: 'me.read', object: 'self' },

  'GET /v1/builds': { action: 'builds.list', object: 'platform' },
  'POST /v1/builds': { action: 'builds.create', object: 'platform' },
  'GET /v1/fleets': { action: 'fleets.list', object: 'platform' },
  'GET /v1/fleets/:fleet': { action: 'fleets.read', object: 'platform' },
  'POST /v1/fleets/:fleet/head-lost': { action: 'fleets.head-lost', object: 'platform' },
  'GET /v1/subscriptions': { action: 'subscriptions.list', object: 'platform' },
  'POST /v1/subscriptions': { action: 'subscriptions.create', object: 'platform' },

  [`GET ${below}`]: inSubscription('subscriptions.read'),
  [`GET ${below}/accounts`]: inSubscription('accounts.list'),
  [`POST ${below}/accounts`]: inSubscription('accounts.create'),
  [`GET ${below}/accounts/:id`]: inSubscription('accounts.read'),
  [`GET ${below}/applications`]: inSubscription('applications.list'),
  [`POST ${below}/applications`]: inSubscription('applications.create'),
  [`GET ${below}/applications/:id`]: inSubscription('applications.read'),
  [`POST ${below}/applications/:id/uploads`]: inSubscription('uploads.create'),
  [`GET ${below}/uploads/:id`]: inSubscription('uploads.read'),
  [`POST ${below}/uploads/:id/packs`]: inSubscription('uploads.send'),
  [`POST ${below}/uploads/:id/finish`]: inSubscription('uploads.finish'),
  [`GET ${below}/applications/:id/versions`]: inSubscription('versions.list'),
  [`GET ${below}/applications/:id/versions/:number`]: inSubscription('versions.read'),
  [`GET ${below}/sites`]: inSubscription('sites.list'),
  [`POST ${below}/sites`]: inSubscription('sites.create'),
  [`GET ${below}/sites/:id`]: inSubscription('sites.read'),
  [`GET ${below}/deployments`]: inSubscription('deployments.list'),
  [`POST ${below}/deployments`]: inSubscription('deployments.create'),
  [`GET ${below}/deployments/:id`]: inSubscription('deployments.read'),
  [`PATCH ${below}/deployments/:id`]: inSubscription('deployments.change'),
  [`GET ${below}/deployments/:id/status`]: inSubscription('deployments.read'),
  [`GET ${below}/deployments/:id/schedule-items`]: inSubscription('schedules.list'),
  [`POST ${below}/deployments/:id/schedule-items`]: inSubscription('schedules.create'),
  [`GET ${below}/deployments/:id/releases`]: inSubscription('releases.list'),
  [`POST ${below}/deployments/:id/rollback`]: inSubscription('deployments.roll-back'),
  [`GET ${below}/operations`]: inSubscription('operations.list'),
  [`GET ${below}/operations/:id`]: inSubscription('operations.read')
}

/** The rule of a registered route; HEAD is what GET is. */
export const findRule = (method: string, path: string): Rule | undefined => {
  const key = `${method === 'HEAD' ? 'GET' : method} ${path}`
  return Object.hasOwn(rules, key) ? rules[key] : undefined
}

/** Who asks, as far as it matters: `roles` are those in the subscription that the object lies in. */
export type Asker =
  | { readonly kind: 'stranger' }
  | { readonly kind: 'user'; readonly operator: boolean; readonly roles: readonly GrantRole[] }

export type Decision =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly code: 'unauthenticated' | 'not_found' | 'forbidden' }

/** Decides every request. Whoever may see nothing of a subscription learns nothing of it, not even that it exists. */
export const decide = ({
  actor,
  action,
  object
}: {
  readonly actor: Asker
  readonly action: Action
  readonly object: ObjectKind
}): Decision => {
  const holders: readonly Holder[] = Object.hasOwn(mayDo, action) ? mayDo[action] : []
  if (holders.some((holder) => is(actor, holder))) return { allowed: true }
  if (actor.kind === 'stranger') return { allowed: false, code: 'unauthenticated' }
  return { allowed: false, code: object === 'subscription' && actor.roles.length === 0 ? 'not_found' : 'forbidden' }
}

const is = (actor: Asker, holder: Holder): boolean => {
  if (holder === 'anyone') return true
  if (actor.kind === 'stranger') return false
  if (holder === 'user') return true
  return holder === 'operator' ? actor.operator : actor.roles.includes(holder)
}
