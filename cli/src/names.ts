import type { Application } from '@berth/shared/api/applications'
import type { Deployment } from '@berth/shared/api/deployments'
import type { SubscriptionClient } from './client.ts'
import { CliError, exitCodes, notFound } from './errors.ts'

type Named = { readonly id: string; readonly name: string }

/** The one thing that is called this, by id or by name; anything else is an error that says what there is. */
export const pick = <Thing extends Named>(what: string, things: readonly Thing[], wanted: string): Thing => {
  const found = things.filter(({ id, name }) => id === wanted || name === wanted)
  const [only] = found
  if (only && found.length === 1) return only
  if (only) throw ambiguous(`${found.length} ${what}s are called ${wanted}; use an id`, found)
  throw notFound(`there is no ${what} ${wanted}${listed(things)}`)
}

/** The deployment of this name or id; or, when there is none, the only one of the application of this name or id. */
export const pickDeployment = async (client: SubscriptionClient, wanted: string): Promise<Deployment> => {
  const deployments = await client.deployments()
  if (deployments.some(({ id, name }) => id === wanted || name === wanted)) return pick('deployment', deployments, wanted)
  const applications = (await client.applications()).filter(({ id, name }) => id === wanted || name === wanted)
  if (applications.length === 0) throw notFound(`there is no deployment or application ${wanted}${listed(deployments)}`)
  return onlyDeployment(pick('application', applications, wanted), deployments)
}

/** The only deployment of an application. */
export const onlyDeployment = (application: Application, deployments: readonly Deployment[]): Deployment => {
  const own = deployments.filter((deployment) => deployment.application === application.id)
  const [only] = own
  if (!only) throw notFound(`${application.name} has no deployment yet: berth up <dir> makes one with nothing but defaults`)
  if (own.length > 1) throw ambiguous(`${application.name} has ${own.length} deployments; name one`, own)
  return only
}

/** Refuses before anything is sent what could not be deployed afterwards. */
export const refuseDisabled = ({ name, status }: Deployment): void => {
  if (status === 'disabled')
    throw new CliError('disabled', `${name} is disabled, so nothing was published: berth enable ${name} first`)
}

const listed = (things: readonly Named[]): string =>
  things.length === 0 ? ': there is none at all' : `; there are: ${things.map(({ name }) => name).join(', ')}`

const ambiguous = (message: string, things: readonly Named[]): CliError =>
  new CliError('ambiguous', `${message}: ${things.map(({ id, name }) => `${name} (${id})`).join(', ')}`, exitCodes.usage)
