/** The services' database roles. */
export const serviceRoles = ['berth_api', 'berth_sealer', 'berth_writer', 'berth_provisioner'] as const
export type ServiceRole = (typeof serviceRoles)[number]

type Command = 'select' | 'insert' | 'update' | 'delete' | `update(${string})`

/**
 * What each service may do on which table, or on one column of it; migrations grant exactly this, and the isolation test holds the database to it.
 * On tables of a subscription `berth_api` sees one subscription by the policy `subscription_isolation`; the other roles see all
 * subscriptions by policies of their own, one for each command here.
 */
export const mayOnTables: Record<ServiceRole, Readonly<Record<string, readonly Command[]>>> = {
  berth_api: {
    users: ['select'],
    sessions: ['select', 'insert', 'delete'],
    grants: ['select', 'insert'],
    subscriptions: ['select', 'insert'],
    accounts: ['select', 'insert'],
    applications: ['select', 'insert'],
    uploads: ['select', 'insert', 'update'],
    versions: ['select'],
    builds: ['select', 'insert'],
    sites: ['select', 'insert'],
    host_names: ['select', 'insert'],
    deployments: ['select', 'insert', 'update'],
    schedule_items: ['select', 'insert', 'update'],
    releases: ['select', 'insert'],
    operations: ['select', 'insert', 'update'],
    fleets: ['select'],
    servers: ['select'],
    audit_entries: ['select', 'insert'],
    idempotency_keys: ['select', 'insert']
  },
  berth_sealer: {
    subscriptions: ['select', 'update(keys_made_at)'],
    applications: ['select', 'update(last_version)'],
    uploads: ['select', 'update'],
    versions: ['select', 'insert'],
    version_packs: ['select', 'insert'],
    builds: ['select'],
    sites: ['select', 'update(fleet_id)'],
    host_names: ['select'],
    deployments: ['select', 'update'],
    schedule_items: ['select', 'insert', 'update'],
    releases: ['select', 'insert', 'update'],
    operations: ['select', 'insert', 'update'],
    fleets: ['select'],
    fleet_packs: ['select', 'insert'],
    audit_entries: ['insert']
  },
  berth_writer: {
    sites: ['select'],
    host_names: ['select'],
    deployments: ['select', 'update'],
    schedule_items: ['select', 'update'],
    releases: ['select', 'insert', 'update'],
    operations: ['select', 'insert', 'update'],
    fleets: ['select', 'update'],
    servers: ['select'],
    observed_servers: ['select', 'insert', 'update', 'delete'],
    audit_entries: ['insert']
  },
  berth_provisioner: {
    sites: ['select'],
    host_names: ['select'],
    fleets: ['select', 'insert', 'update'],
    servers: ['select', 'insert', 'update', 'delete'],
    audit_entries: ['insert']
  }
}

/** Tables that no subscription owns; every other one must have `subscription_id` and the policy. */
export const platformTables = ['users', 'sessions', 'builds', 'fleets', 'servers', 'observed_servers', 'fleet_packs'] as const
