import type { Reason } from '@berth/shared/api/common'
import type { Deployment } from '@berth/shared/api/deployments'
import { CliError } from '../errors.ts'
import { onlyDeployment, pick, refuseDisabled } from '../names.ts'
import { folderText, publishFolder, readFolder } from '../publish/publish.ts'
import type { Session } from '../session.ts'
import { addressOf, finishScheduled, type WaitOptions } from './deploy.ts'

export type PublishOptions = WaitOptions & {
  readonly application: string
  /** A deployment, or `true` for the application's only one. */
  readonly deploy?: string | true
  readonly note?: string
}

/** Makes a new version of an application that exists, and deploys it when asked to. */
export const publish = async (session: Session, folder: string, options: PublishOptions): Promise<void> => {
  const { output, subscription, clock } = session
  const context = { client: subscription, clock, progress: output.progress }
  const content = await readFolder(folder, context)
  const application = pick('application', await subscription.applications(), options.application)
  const target = options.deploy === undefined ? undefined : await deploymentFor(session, application, options.deploy)

  output.note(`Publishing ${folderText(content)} as ${application.name}`)
  const published = await publishFolder(context, {
    folder: content,
    application: application.id,
    note: options.note,
    deploy: target ? { deployment: target.id } : undefined
  })
  const { version, schedule, refusal } = published
  const result = {
    application: { ...application, lastVersion: version },
    version,
    files: content.files.length,
    bytes: content.bytes,
    schedule
  }
  if (!target) return output.result(result, `Published version ${version} of ${application.name}.`)
  if (!schedule)
    throw notDeployed(refusal ?? { code: 'unknown', message: `version ${version} was made and not deployed` }, target)

  output.note(`Published version ${version} of ${application.name}; deploying it to ${target.name}`)
  const operation = await finishScheduled(session, schedule, options)
  const state = operation?.state === 'live' ? 'is served' : 'is on its way'
  output.result(
    { ...result, deployment: target, operation },
    `Version ${version} of ${application.name} ${state}: ${addressOf(target)}`
  )
}

/** The version stands, and the platform's own words say why it is not deployed. */
const notDeployed = ({ code, message }: Reason, { name }: Deployment): CliError =>
  new CliError('not_deployed', `${message} (${code}); once that is mended: berth deploy ${name}`)

const deploymentFor = async (
  { subscription }: Session,
  application: Parameters<typeof onlyDeployment>[0],
  wanted: string | true
) => {
  const own = (await subscription.deployments()).filter((deployment) => deployment.application === application.id)
  const found = wanted === true ? onlyDeployment(application, own) : pick(`deployment of ${application.name}`, own, wanted)
  refuseDisabled(found)
  return found
}
