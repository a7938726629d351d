import { randomUUID } from 'node:crypto'
import type { Application } from '@berth/shared/api/applications'
import type { Build } from '@berth/shared/api/builds'
import type { Deployment, DeploymentStatus, ServerStatus } from '@berth/shared/api/deployments'
import type { Operation, OperationState } from '@berth/shared/api/operations'
import type { Release } from '@berth/shared/api/releases'
import type { ScheduleItem } from '@berth/shared/api/schedules'
import type { Site } from '@berth/shared/api/sites'
import type { Version } from '@berth/shared/api/versions'
import { defaultPool, defaultProbe } from '@berth/shared/fields'
import type { Manifest } from '@berth/shared/manifest'
import { ApiFailure, type Routes } from './fake-routes.ts'

const createdAt = '2026-01-01T00:00:00Z'
const servers = ['s-1', 's-2'] as const

/** Nouns in memory. An operation goes one step further each time somebody looks at it. */
export const fakeDeployments = () => {
  const builds: Build[] = [
    { id: randomUUID(), name: 'static', version: '1.0.0', platform: 'linux-x64', status: 'offered', size: 1234 }
  ]
  const applications: Application[] = []
  const versions = new Map<string, Version[]>()
  const sites: Site[] = []
  const deployments: Deployment[] = []
  const items: ScheduleItem[] = []
  const operations: Operation[] = []
  const releases = new Map<string, Release[]>()
  const live = new Map<string, Release>()
  /** Versions whose workers never become ready. */
  const broken = new Set<number>()
  let isFrozen = false

  const get = <Thing extends { id: string }>(things: readonly Thing[], id: string | undefined): Thing => {
    const found = things.find((thing) => thing.id === id)
    if (!found) throw new ApiFailure(404, 'not_found', `nothing has the id ${id}`)
    return found
  }

  const begin = (deployment: string, kind: Operation['kind'], release: Release | undefined): Operation => {
    const operation: Operation = {
      id: randomUUID(),
      deployment,
      kind,
      release: release?.id ?? null,
      version: release?.version ?? null,
      state: 'queued',
      createdAt,
      progress: { ready: 0, routed: 0, of: servers.length },
      steps: [{ state: 'queued', at: createdAt }]
    }
    operations.push(operation)
    return operation
  }

  const advance = (operation: Operation): Operation => {
    if (isFrozen) return operation
    const isBroken = operation.version !== null && broken.has(operation.version) && operation.kind === 'deploy'
    const next = nextStep(operation, isBroken)
    operations[operations.indexOf(operation)] = next
    const release = releases.get(operation.deployment)?.find(({ id }) => id === operation.release)
    if (next.state === 'live' && release) live.set(operation.deployment, Object.assign(release, { wasLive: true }))
    return next
  }

  const schedule = (deployment: string, version: number, startsAt: string | undefined): ScheduleItem => {
    const { application } = get(deployments, deployment)
    if (!versions.get(application)?.some(({ number }) => number === version))
      throw new ApiFailure(404, 'not_found', `no version ${version}`)
    const [build = fail()] = builds
    const item: ScheduleItem = {
      id: randomUUID(),
      deployment,
      version,
      build,
      loggingLevel: 'information',
      startsAt: startsAt ?? createdAt,
      endsAt: null,
      ...(startsAt ? {} : { operation: begin(deployment, 'deploy', addRelease(deployment, version)).id })
    }
    items.push(item)
    return item
  }

  const addRelease = (deployment: string, version: number): Release => {
    const [build = fail()] = builds
    const release: Release = { id: randomUUID(), version, build, digest: null, status: 'packaged', wasLive: false, createdAt }
    releases.set(deployment, [...(releases.get(deployment) ?? []), release])
    return release
  }

  const statusOf = (id: string): DeploymentStatus => {
    const deployment = get(deployments, id)
    const last = operations.findLast((operation) => operation.deployment === id)
    const operation = last && advance(last)
    const serving = live.get(id)
    const pointer = serving && { version: serving.version, release: serving.id }
    const requested =
      operation?.release && operation.version ? { version: operation.version, release: operation.release } : pointer
    return {
      deployment,
      ...(pointer ? { live: pointer } : {}),
      ...(requested ? { requested } : {}),
      ...(operation ? { operation } : {}),
      servers: servers.map(
        (server): ServerStatus => ({
          server,
          zone: 'local-a',
          state: 'running',
          ...pointer,
          reportedAt: new Date().toISOString()
        })
      )
    }
  }

  /** From now on no operation goes any further. */
  const freeze = () => {
    isFrozen = true
  }

  const routes: Routes = {
    'GET /applications': () => ({ items: applications }),
    'POST /applications': (_, { name }) => {
      const application: Application = {
        id: randomUUID(),
        account: randomUUID(),
        name: String(name),
        status: 'active',
        lastVersion: 0,
        createdAt
      }
      applications.push(application)
      return application
    },
    'GET /applications/:id/versions': ([id = '']) => ({ items: versions.get(get(applications, id).id) ?? [] }),
    'GET /sites': () => ({ items: sites }),
    'POST /sites': (_, { name }) => {
      const hostName = `${name}.localhost`
      const site: Site = {
        id: randomUUID(),
        name: String(name),
        region: 'local',
        tenancy: 'public',
        status: 'active',
        hostNames: [hostName],
        fleet: null,
        addresses: [`http://${hostName}:8080`]
      }
      sites.push(site)
      return site
    },
    'GET /deployments': () => ({ items: deployments }),
    'POST /deployments': (_, { application, site, path, name }) => {
      const { addresses, name: siteName } = get(sites, String(site))
      const { account, id } = get(applications, String(application))
      if (deployments.some((other) => other.site === site && other.path === path))
        throw new ApiFailure(409, 'path_taken', `${path} is taken on ${siteName}`)
      const deployment: Deployment = {
        id: randomUUID(),
        account,
        application: id,
        site: String(site),
        name: String(name ?? siteName),
        path: String(path),
        status: 'active',
        settings: {},
        probe: defaultProbe,
        pool: defaultPool,
        keepWarm: 'frozen',
        bakeSeconds: 60,
        addresses: addresses.map((address) => `${address}${path}`),
        createdAt
      }
      deployments.push(deployment)
      return deployment
    },
    'PATCH /deployments/:id': ([id = ''], { status }) => {
      const changed = Object.assign(get(deployments, id), { status })
      return { ...changed, operation: begin(id, status === 'active' ? 'enable' : 'disable', undefined).id }
    },
    'GET /deployments/:id/status': ([id = '']) => statusOf(id),
    'GET /deployments/:id/releases': ([id = '']) => ({ items: releases.get(id) ?? [] }),
    'GET /deployments/:id/schedule-items': ([id]) => ({ items: items.filter(({ deployment }) => deployment === id) }),
    'POST /deployments/:id/schedule-items': ([id = ''], { version, startsAt }) =>
      schedule(id, Number(version), startsAt === undefined ? undefined : String(startsAt)),
    'POST /deployments/:id/rollback': ([id = ''], { release }) => {
      const known = releases.get(id) ?? []
      const target = release
        ? get(known, String(release))
        : known.findLast(({ wasLive, version }) => wasLive && version !== live.get(id)?.version)
      if (!target) throw new ApiFailure(409, 'nothing_to_roll_back_to', 'no earlier release was live')
      return begin(id, 'rollback', target)
    },
    'GET /operations/:id': ([id]) => advance(get(operations, id))
  }

  const addVersion = (application: string, manifest: Manifest, digest: string): number => {
    const known = versions.get(application) ?? []
    const number = known.length + 1
    const bytes = manifest.files.reduce((sum, { size }) => sum + size, 0)
    const version: Version = {
      number,
      manifest: digest,
      kind: 'static',
      files: manifest.files.length,
      bytes,
      note: null,
      publishedBy: randomUUID(),
      publishedAt: createdAt
    }
    versions.set(application, [...known, version])
    Object.assign(get(applications, application), { lastVersion: number })
    return number
  }

  return { routes, builds, applications, versions, sites, deployments, operations, items, broken, addVersion, schedule, freeze }
}
export type FakeDeployments = ReturnType<typeof fakeDeployments>

const states: readonly OperationState[] = ['queued', 'preparing', 'switching', 'live']

const nextStep = (operation: Operation, isBroken: boolean): Operation => {
  const state = states[states.indexOf(operation.state) + 1]
  if (!states.includes(operation.state) || state === undefined) return operation
  if (isBroken && state === 'switching')
    return { ...operation, state: 'failed', reason: { code: 'probe_failed', message: 'the worker answered its probe with 500' } }
  const done = {
    ready: state === 'preparing' ? 1 : servers.length,
    routed: state === 'live' ? servers.length : 0,
    of: servers.length
  }
  const { blocker: _, ...rest } = operation
  return { ...rest, state, progress: done, ...(state === 'preparing' ? { blocker: 'server s-2 is preparing it' } : {}) }
}

const fail = (): never => {
  throw new Error('the fake offers one build')
}
