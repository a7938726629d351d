import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SiteList } from '@berth/shared/api/sites'
import type { Clock } from '@berth/shared/clock'
import { createLocalKey, localKeys } from '@berth/shared/keys/local'
import { restrictedKeys } from '@berth/shared/keys/restricted'
import { delayedObjects } from '@berth/shared/objects/delayed'
import { createFolderStore, folderObjects } from '@berth/shared/objects/folder'
import { serveFolderOrigin } from '@berth/shared/objects/folder-origin'
import { sweepFolderStore } from '@berth/shared/objects/folder-sweep'
import { type ObjectsScope, scopedObjects } from '@berth/shared/objects/scoped'
import { parser } from '@berth/shared/parse'
import { makeApi } from '../app.ts'
import { localCloud } from '../cloud/local/client.ts'
import { findSupervisor, startSupervisor, stopSupervisor } from '../cloud/local/supervisor.ts'
import { readConfig } from '../config.ts'
import { connect, type Db, disconnect, listen } from '../platform/database.ts'
import { stopEmbeddedPostgres } from '../platform/embedded-postgres.ts'
import type { ServiceRole } from '../platform/roles.ts'
import type { Log } from '../platform/service-loop.ts'
import { makeProvisioner } from '../provisioner/provisioner.ts'
import { makeSealer } from '../sealer/sealer.ts'
import { makeFirstTrust } from '../trust/first-start.ts'
import { signerOf, signingKeys } from '../trust/signers.ts'
import { makeWriter } from '../writer/writer.ts'
import { type LocalDatabase, startDatabase } from './database.ts'
import { declareFleet, offerBuilds, openState, type StateFile, welcomeUsers } from './first-start.ts'
import { checkPortIsFree, claimHome, type Home, openHome } from './home.ts'
import { makeLog } from './log.ts'
import type { Progress } from './progress.ts'
import { awaitServed, bringUp, samples } from './samples.ts'
import { homeOf, type LocalSettings } from './settings.ts'
import { profileFileOf, signInOwner } from './sign-in.ts'
import { keepSupervisor, supervisorOptions } from './supervised.ts'
import { machineLine, passwordLines, welcome } from './welcome.ts'

export type SystemOptions = {
  readonly settings: LocalSettings
  readonly project: string
  readonly workingFolder: string
  readonly clock: Clock
  readonly progress: Progress
  /** Of `npm start` itself: where the command line keeps its profile. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

const loopback = '127.0.0.1'
const region = 'local'
/** Servers of a laptop are on the laptop. */
const platform = `${process.platform}-${process.arch}`
const parseSites = parser(SiteList, 'the list of sites')

/**
 * Starts everything, or carries on with what still runs, and serves until `signal` is aborted; then stops everything. A start that
 * fails stops what it had started; sites that were served before it go on being served.
 */
export const runSystem = async (options: SystemOptions): Promise<void> => {
  const { settings, project, workingFolder, signal } = options
  const home = await openHome(homeOf(settings, workingFolder), project, process.getuid?.() === 0)
  await claimHome(home)
  await checkPortIsFree(settings.BERTH_API_PORT, loopback, 'BERTH_API_PORT')
  const wasServing = (await findSupervisor(home.cloud)) !== undefined
  const stopping = new AbortController()
  const parts: Part[] = []
  try {
    await start({ ...options, home, parts, stopping: stopping.signal })
    await aborted(signal)
    options.progress.line('\nStopping …')
  } catch (error) {
    if (wasServing && !signal.aborted) parts.splice(0, parts.length, ...parts.filter(({ serves }) => !serves))
    if (!signal.aborted) throw error
  } finally {
    stopping.abort()
    for (const { stop } of parts.reverse()) await stop()
    await rm(home.identity, { force: true })
  }
  options.progress.line(`Stopped. Everything is kept in ${home.home}; npm start carries on.`)
}

/** Something that was started and must be stopped; what serves sites survives a start that fails. */
type Part = { readonly stop: () => Promise<unknown>; readonly serves?: true }

type Starting = SystemOptions & { readonly home: Home; readonly parts: Part[]; readonly stopping: AbortSignal }

const start = async (o: Starting): Promise<void> => {
  const { settings, home, parts, clock, progress, stopping } = o
  progress.line(`Berth starts; its data is in ${home.home}`)
  const state = await openState(home.state)
  const isFirst = state.get().samples === undefined
  const log = makeLog(join(home.home, 'control-plane.log'), clock.now)

  const database = await progress.step('PostgreSQL', async () => {
    parts.push({ serves: true, stop: () => stopEmbeddedPostgres({ folder: home.postgres, clock }) })
    return startDatabase(home, clock)
  })
  const keepingDatabase = database.keep(stopping)
  parts.push({ stop: () => keepingDatabase })
  const sweeping = keepStoreSwept(o)
  parts.push({ stop: () => sweeping })

  const doors = await progress.step('object store, keys and trust', () => openDoors({ ...o, log }))
  const cloud = supervisorOptions(o)
  const supervisor = await progress.step('local cloud: supervisor and balancer', async () => {
    parts.push({ serves: true, stop: () => stopSupervisor({ folder: home.cloud, clock }) })
    return startSupervisor(cloud)
  })
  const keeping = keepSupervisor(cloud, stopping)
  parts.push({ stop: () => keeping })

  const services = connectServices(o, database)
  parts.push({ stop: services.disconnect })
  await declareFleet({ state, db: services.db('berth_provisioner'), servers: settings.BERTH_SERVERS, region })
  const running = runServices({ ...o, ...doors, services, supervisorSocket: supervisor.socketPath, log })
  parts.push({ stop: () => running })
  const api = await progress.step('control plane', () => openApi({ ...o, ...doors, services, log }))

  await progress.step(isFirst ? 'first users, builds node and static' : 'users and builds', async () => {
    await makeUsers({ ...o, database, state })
    const vendor = signerOf(doors.keys, signingKeys.vendor)
    await offerBuilds({ state, db: services.db('berth_api'), folder: home.builds, objects: doors.objects, vendor })
  })
  const profile = profileFileOf(o.environment)
  const token = await signInOwner({ db: services.db('berth_api'), api, file: profile, state: state.get() })
  if (isFirst) {
    await Promise.all(
      samples.map((sample) =>
        progress.step(`${sample}: published, deployed`, () => bringUp(sample, childEnvironment(profile), o.signal))
      )
    )
    await state.note({ samples: true })
  }
  await finish({
    ...o,
    api,
    token,
    subscription: state.get().subscription ?? '',
    profile,
    supervisorSocket: supervisor.socketPath
  })
}

/** Shows new passwords at once: a start that is cut short later must not lose them. */
const makeUsers = async ({
  database,
  state,
  progress
}: Starting & { database: LocalDatabase; state: StateFile }): Promise<void> => {
  const owner = connect(database.ownerUrl(), { connectionsMax: 2 })
  try {
    const passwords = await welcomeUsers({ state, db: owner })
    if (passwords) progress.line(passwordLines(passwords))
    await state.note({ passwordsShown: true })
  } finally {
    await disconnect(owner)
  }
}

type Doors = Awaited<ReturnType<typeof openDoors>>

/** The doors of this machine, whole: each service gets a handle that may do its own part only. */
const openDoors = async ({ home, settings, clock, parts, log }: Starting & { readonly log: Log }) => {
  await createFolderStore(home.objects)
  // New with each start, as the origin's port: URLs that were handed out before are asked for again.
  const secret = randomBytes(32)
  let url = ''
  const store = await folderObjects({ root: home.objects, presign: { origin: () => url, secret, clock } })
  const origin = await serveFolderOrigin({
    objects: store,
    secret,
    host: loopback,
    port: 0,
    clock,
    onFailure: (error) => log({ service: 'store', level: 'error', message: `a presigned request failed: ${String(error)}` })
  })
  parts.push({ stop: origin.close })
  url = origin.url

  const objects = settings.BERTH_STORE_LATENCY_MS === 0 ? store : delayedObjects(store, settings.BERTH_STORE_LATENCY_MS, clock)
  const keys = await localKeys({ folder: home.keys })
  const makeKey = (name: string, purpose: 'wrap' | 'sign') => createLocalKey({ folder: home.keys, name, purpose })
  await makeFirstTrust({ objects, keys, makeKey, clock })
  return { objects, keys, makeFleetKey: (name: string) => makeKey(name, 'wrap') }
}

const sweepEveryMs = 60 * 60_000

/** What S3 does by itself: what was deleted an hour ago leaves nothing behind. */
const keepStoreSwept = async ({ home, clock, stopping }: Starting): Promise<void> => {
  while (!stopping.aborted) {
    await clock.wait(sweepEveryMs, stopping)
    // A folder that is away is swept the next time.
    if (!stopping.aborted) await sweepFolderStore(home.objects, { olderThanMs: sweepEveryMs, clock }).catch(() => undefined)
  }
}

type Services = ReturnType<typeof connectServices>

/** Connections of each service, under its own role. */
const connectServices = ({ clock }: Starting, database: LocalDatabase) => {
  const connections = new Map<ServiceRole, Db>()
  return {
    db: (role: ServiceRole): Db => {
      // A version's packs are noted in one statement, and there may be many.
      const statementMs = role === 'berth_sealer' ? 120_000 : 30_000
      const db = connections.get(role) ?? connect(database.url(role), { statementMs })
      connections.set(role, db)
      return db
    },
    hints: (role: ServiceRole) => (onHint: () => void, signal: AbortSignal) =>
      listen(database.url(role), role, onHint, signal, clock),
    disconnect: () => Promise.all([...connections.values()].map(disconnect))
  }
}

const sealedForFleets = ['fleets/*/packages/', 'fleets/*/packs/', 'fleets/*/builds/', 'fleets/*/keys/']

/** What each service may do with the object store (architecture, "Processes and what each may touch"). */
const scopes = {
  api: { read: ['builds/', 'control/trust/'], presign: ['staging/'] },
  sealer: {
    read: ['staging/', 'vault/', 'keys/', 'builds/', 'fleets/*/key', ...sealedForFleets],
    write: ['vault/', 'keys/', ...sealedForFleets],
    // The vault: what a refused upload had put there already.
    delete: ['staging/', 'vault/']
  },
  writer: {
    read: ['fleets/*/head.json', 'fleets/*/desired/', 'observed/', 'control/trust/'],
    write: ['fleets/*/head.json', 'fleets/*/desired/']
  },
  provisioner: { read: ['control/trust/', 'fleets/*/key'], write: ['fleets/*/trust/', 'fleets/*/key'] }
} satisfies Record<string, ObjectsScope>

type RunningDeps = Starting & Doors & { readonly services: Services; readonly log: Log }

/** The services that nobody calls: level-triggered loops that share nothing but the doors and the database. */
const runServices = async (o: RunningDeps & { readonly supervisorSocket: string }): Promise<void> => {
  const { objects, keys, services, clock, log, settings, stopping } = o
  const ofRole = (role: ServiceRole) => ({ db: services.db(role), hints: services.hints(role), clock, log })
  const sealer = makeSealer({
    ...ofRole('berth_sealer'),
    objects: scopedObjects(objects, scopes.sealer),
    keys: restrictedKeys(keys, { wrap: ['subscriptions'], unwrap: ['uploads', 'subscriptions'], sign: [signingKeys.sealer] }),
    limits: readConfig(o.environment).uploads,
    platform
  })
  const writer = makeWriter({
    ...ofRole('berth_writer'),
    objects: scopedObjects(objects, scopes.writer),
    keys: restrictedKeys(keys, { sign: [signingKeys.writer] }),
    headValidityMs: settings.BERTH_HEAD_VALIDITY_SECONDS * 1000
  })
  const provisioner = makeProvisioner({
    ...ofRole('berth_provisioner'),
    objects: scopedObjects(objects, scopes.provisioner),
    keys: restrictedKeys(keys, { wrap: ['fleet-*'] }),
    makeFleetKey: o.makeFleetKey,
    cloud: localCloud({ socketPath: o.supervisorSocket }),
    cloudKind: 'local'
  })
  await Promise.all([sealer.run(stopping), writer.run(stopping), provisioner.run(stopping)])
}

/** The API, listening; answers its address. */
const openApi = async ({ objects, keys, services, environment, settings, clock, log, parts }: RunningDeps): Promise<string> => {
  const config = readConfig({
    ...environment,
    BERTH_ENTRY_PORT: String(settings.BERTH_HTTP_PORT),
    BERTH_ENTRY_SCHEME: 'http',
    BERTH_REGION: region,
    BERTH_PLATFORM: platform
  })
  const app = await makeApi({
    db: services.db('berth_api'),
    objects: scopedObjects(objects, scopes.api),
    keys: restrictedKeys(keys, { wrap: ['uploads'] }),
    config,
    clock,
    log
  })
  parts.push({ stop: () => app.close() })
  return app.listen({ host: loopback, port: settings.BERTH_API_PORT })
}

/** Waits until what is deployed is served, and tells people and machines where. */
const finish = async (
  o: Starting & {
    api: string
    token: string
    subscription: string
    profile: string
    supervisorSocket: string
  }
): Promise<void> => {
  const answer = await fetch(`${o.api}/v1/subscriptions/${o.subscription}/sites`, {
    headers: { authorization: `Bearer ${o.token}` }
  })
  const { items } = parseSites(await answer.json())
  const entry = `${loopback}:${o.settings.BERTH_HTTP_PORT}`
  const sites = items.flatMap(({ name, hostNames: [host], addresses: [url], fleet }) =>
    host === undefined || url === undefined || fleet === null ? [] : [{ name, host, url }]
  )
  const silent = await o.progress.step('sites answer', () => awaitServed(sites, entry, o.clock, o.signal))
  o.progress.line(welcome({ ...o, sites, silent }))
  if (o.settings.BERTH_MACHINE === 1)
    o.progress.line(
      machineLine({ api: o.api, entry, profile: o.profile, home: o.home.home, supervisorSocket: o.supervisorSocket, sites })
    )
}

const childEnvironment = (profile: string): Record<string, string> => ({
  PATH: process.env.PATH ?? '/usr/bin:/bin',
  BERTH_PROFILE: profile
})

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted ? Promise.resolve() : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
