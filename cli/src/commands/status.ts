import type { DeploymentStatus } from '@berth/shared/api/deployments'
import { digestOf } from '@berth/shared/canonical'
import { CliError, exitCodes, notFound } from '../errors.ts'
import { pick } from '../names.ts'
import type { Session } from '../session.ts'
import { table } from '../text.ts'
import { failureOf, isOpen, obstacleText, operationText, waitFor } from '../waiting.ts'
import { addressOf } from './deploy.ts'

/** Shows what was asked for and what each server does; without a name, of every deployment. */
export const status = async (
  session: Session,
  wanted: string | undefined,
  options: { readonly watch?: boolean }
): Promise<void> => {
  const { output, subscription } = session
  const deployments = await subscription.deployments()
  const [only] = deployments
  if (!only && wanted === undefined)
    throw notFound('there is no deployment yet: berth up <dir> makes one with nothing but defaults')
  const one = wanted !== undefined ? pick('deployment', deployments, wanted) : deployments.length === 1 ? only : undefined

  if (one && options.watch) return watch(session, one.id)
  if (one) {
    const found = await subscription.status(one.id)
    return output.result(found, statusText(found))
  }
  if (options.watch)
    throw new CliError(
      'ambiguous',
      `name the deployment to watch: ${deployments.map(({ name }) => name).join(', ')}`,
      exitCodes.usage
    )
  const items = await Promise.all(deployments.map(({ id }) => subscription.status(id)))
  output.result({ items }, overviewText(items))
}

/** Shows the status again whenever it changed, until the operation has ended; says how it ended by the exit code. */
const watch = async ({ output, subscription, clock }: Session, deployment: string): Promise<void> => {
  let shown = ''
  const ended = await waitFor({
    clock,
    deadlineMs: Number.POSITIVE_INFINITY,
    look: async () => {
      const found = await subscription.status(deployment)
      // A report that says the same again, only later, is no news.
      const news = digestOf({ ...found, servers: found.servers.map(({ reportedAt: _, ...server }) => server) })
      if (news !== shown) output.redraw(found, statusText(found))
      shown = news
      return found.operation && isOpen(found.operation) ? undefined : found
    },
    late: () => new CliError('unexpected', 'a watch has no end but the operation’s')
  })
  const failure = ended.operation && failureOf(ended.operation, ended.live?.version)
  if (failure) throw failure
}

const statusText = ({ deployment, live, requested, warm, operation, servers }: DeploymentStatus): string => {
  const wanted = requested ?? live
  const obstacle = operation && obstacleText(operation)
  const rows = servers.map(({ server, zone, state, version, reason }) => [
    server,
    zone,
    wanted ? String(wanted.version) : '-',
    version === undefined ? '-' : String(version),
    state,
    reason ? `${reason.code}: ${reason.message}` : ''
  ])
  return [
    `${deployment.name} (${deployment.status}) ${addressOf(deployment)}`,
    `live: ${versionText(live)}   requested: ${versionText(wanted)}   kept warm: ${versionText(warm)}`,
    ...(operation ? [operationText(operation)] : []),
    ...(obstacle === undefined ? [] : [`  ${obstacle}`]),
    ...(rows.length > 0 ? [table(['SERVER', 'ZONE', 'REQUESTED', 'ACTUAL', 'STATE', 'REASON'], rows)] : ['no server yet'])
  ].join('\n')
}

const overviewText = (items: readonly DeploymentStatus[]): string => {
  const rows = items.map(({ deployment, live, requested, operation, servers }) => [
    deployment.name,
    deployment.status,
    versionText(live),
    versionText(requested ?? live),
    `${servers.filter(({ state, version }) => state === 'running' && version === (requested ?? live)?.version).length} of ${servers.length}`,
    operation ? operationText(operation) : '',
    addressOf(deployment)
  ])
  return table(['NAME', 'STATUS', 'LIVE', 'REQUESTED', 'SERVERS', 'LAST OPERATION', 'ADDRESS'], rows)
}

const versionText = (pointer: { readonly version: number } | undefined): string => (pointer ? `version ${pointer.version}` : '-')
