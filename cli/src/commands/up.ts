import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Application } from '@berth/shared/api/applications'
import type { Deployment } from '@berth/shared/api/deployments'
import type { Operation } from '@berth/shared/api/operations'
import { digestOf } from '@berth/shared/canonical'
import { CliError, exitCodes } from '../errors.ts'
import { pick, refuseDisabled } from '../names.ts'
import { type HashedFolder, manifestOf } from '../publish/pieces.ts'
import { folderText, publishFolder, readFolder } from '../publish/publish.ts'
import type { Session } from '../session.ts'
import { isOpen } from '../waiting.ts'
import { addressOf, finish, finishScheduled, type WaitOptions } from './deploy.ts'

export type UpOptions = WaitOptions & { readonly application?: string; readonly deployment?: string }

/**
 * From a folder to an address with nothing but defaults: makes what is missing (application, version, site, `/` deployment,
 * schedule item), leaves what is there, and ends when the folder's content is served. Run again, it does only what is left.
 */
export const up = async (session: Session, folder: string, options: UpOptions): Promise<void> => {
  const { output, clock } = session
  const content = await readFolder(folder, { clock, progress: output.progress })
  const application = await ensureApplication(session, options.application ?? (await nameFor(content.root)))
  const existing = await findDeployment(session, application, options.deployment)
  const { version, isNew } = await ensureVersion(session, application, content)

  const deployment = existing ?? (await createDeployment(session, application))
  const operation = await ensureServed(session, deployment, version, options)
  const address = addressOf(deployment)
  const isServed = operation === undefined || !isOpen(operation)
  if (!isNew && operation === undefined) output.note(`Nothing changed: version ${version} of ${application.name} already serves.`)
  else output.note(`Version ${version} of ${application.name} is ${isServed ? 'served' : 'on its way'}.`)
  const result = {
    application: { ...application, lastVersion: Math.max(application.lastVersion, version) },
    deployment,
    version,
    published: isNew,
    served: isServed,
    address
  }
  output.result(operation ? { ...result, operation } : result, address)
}

/** The package's name, else the folder's, as an application and a host name can be called. */
export const nameFor = async (root: string): Promise<string> => {
  const named = await packageName(root)
  return cleaned(named ?? '') || cleaned(basename(root)) || 'application'
}

const nameLengthMax = 40

const cleaned = (name: string): string =>
  name
    .replace(/^@[^/]*\//, '')
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, nameLengthMax)
    .replace(/^-+|-+$/g, '')

const packageName = async (root: string): Promise<string | undefined> => {
  try {
    const described: unknown = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const isNamed = typeof described === 'object' && described !== null && 'name' in described
    return isNamed && typeof described.name === 'string' ? described.name : undefined
  } catch {
    return undefined // none, or not one that npm could read: the folder's name does as well
  }
}

const ensureApplication = async ({ subscription, output }: Session, name: string): Promise<Application> => {
  const found = (await subscription.applications()).filter((application) => application.id === name || application.name === name)
  if (found.length > 0) return pick('application', found, name)
  output.note(`Making the application ${name}`)
  return subscription.createApplication({ name })
}

/** The newest version when it is this very content, else a new one. */
const ensureVersion = async ({ subscription, clock, output }: Session, application: Application, folder: HashedFolder) => {
  const [newest] = (await subscription.versions(application.id)).toSorted((a, b) => b.number - a.number)
  const manifest = digestOf(manifestOf(folder, subscription.subscription, application.id))
  if (newest?.manifest === manifest) return { version: newest.number, isNew: false }
  output.note(`Publishing ${folderText(folder)} as ${application.name}`)
  const context = { client: subscription, clock, progress: output.progress }
  const { version } = await publishFolder(context, { folder, application: application.id })
  return { version, isNew: true }
}

/** The deployment that is named, else the application's only one at `/`; found before anything is published. */
const findDeployment = async (
  { subscription }: Session,
  application: Application,
  wanted: string | undefined
): Promise<Deployment | undefined> => {
  const own = (await subscription.deployments()).filter((deployment) => deployment.application === application.id)
  const found = wanted === undefined ? rootOf(application, own) : pick(`deployment of ${application.name}`, own, wanted)
  if (found) refuseDisabled(found)
  return found
}

const rootOf = (application: Application, own: readonly Deployment[]): Deployment | undefined => {
  const roots = own.filter(({ path }) => path === '/')
  if (roots.length <= 1) return roots[0]
  const names = roots.map(({ name }) => name).join(', ')
  throw new CliError(
    'ambiguous',
    `${application.name} has several deployments; name one with --deployment: ${names}`,
    exitCodes.usage
  )
}

/** On a site of the application's name that has no `/` deployment yet, else on a new one. */
const createDeployment = async ({ subscription, output }: Session, application: Application): Promise<Deployment> => {
  const [sites, deployments] = await Promise.all([subscription.sites(), subscription.deployments()])
  const isTaken = (site: string) => deployments.some((deployment) => deployment.site === site && deployment.path === '/')
  const waiting = sites.find(({ id, name }) => name === application.name && !isTaken(id))
  const site = waiting ?? (await subscription.createSite({ name: freeName(application.name, sites) }))
  output.note(`Making a deployment on the site ${site.name} (${site.hostNames.join(', ')})`)
  return subscription.createDeployment({ application: application.id, site: site.id, path: '/' })
}

const freeName = (name: string, sites: readonly { readonly name: string }[]): string => {
  const taken = new Set(sites.map((site) => site.name))
  let free = name
  for (let number = 2; taken.has(free); number++) free = `${name}-${number}`
  return free
}

/** Answers the operation that made or makes this version serve; nothing when it serves already. */
const ensureServed = async (
  session: Session,
  deployment: Deployment,
  version: number,
  options: WaitOptions
): Promise<Operation | undefined> => {
  const { subscription, output } = session
  const { live, operation } = await subscription.status(deployment.id)
  const open = operation && isOpen(operation) ? operation : undefined
  if (live?.version === version && !open) return undefined
  if (open && open.version === version && open.kind === 'deploy') return options.wait ? finish(session, open, options) : open
  output.note(`Deploying version ${version} to ${deployment.name}`)
  return finishScheduled(session, await subscription.schedule(deployment.id, { version }), options)
}
