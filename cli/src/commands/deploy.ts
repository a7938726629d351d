import type { Deployment } from '@berth/shared/api/deployments'
import type { Operation } from '@berth/shared/api/operations'
import type { ScheduleItem } from '@berth/shared/api/schedules'
import { CliError, exitCodes, notFound, usageError } from '../errors.ts'
import { pick, pickDeployment } from '../names.ts'
import type { Session } from '../session.ts'
import { failureOf, isOpen, obstacleText, operationText, waitFor } from '../waiting.ts'

/** The options of everything that starts an operation. */
export type WaitOptions = { readonly wait: boolean; readonly timeout: number }
export type DeployOptions = WaitOptions & { readonly version?: number; readonly build?: string; readonly at?: string }

/** Schedules a version on a deployment, now or later; what starts now is waited for. */
export const deploy = async (session: Session, target: string, options: DeployOptions): Promise<void> => {
  const { output, subscription } = session
  const wantedBuild = options.build === undefined ? undefined : buildChoice(options.build)
  const startsAt = options.at === undefined ? undefined : instant(options.at)
  const deployment = await pickDeployment(subscription, target)
  const version = await pickVersion(session, deployment.application, options.version)
  const build = wantedBuild && (await offeredBuild(session, wantedBuild))
  const item = await subscription.schedule(deployment.id, {
    version,
    ...(build ? { build } : {}),
    ...(startsAt ? { startsAt } : {})
  })
  if (startsAt && item.operation === undefined)
    return output.result({ deployment, schedule: item }, `Version ${version} of ${deployment.name} starts at ${item.startsAt}.`)

  const operation = await finishScheduled(session, item, options)
  const words = `Version ${version} of ${deployment.name} is ${operation && !isOpen(operation) ? 'served' : 'on its way'}: ${addressOf(deployment)}`
  output.result({ deployment, schedule: item, operation }, words)
}

/** Makes an earlier release serve again: the last one that was live everywhere, or the one that is named. */
export const rollback = async (
  session: Session,
  target: string,
  options: WaitOptions & { readonly to?: string }
): Promise<void> => {
  const { output, subscription } = session
  const deployment = pick('deployment', await subscription.deployments(), target)
  const release = options.to === undefined ? undefined : await earlierRelease(session, deployment, options.to)
  const started = await subscription.rollback(deployment.id, release === undefined ? {} : { release })
  const operation = options.wait ? await finish(session, started, options) : started
  const what = operation.version === null ? 'the earlier release' : `version ${operation.version}`
  const words = isOpen(operation)
    ? `Rolling ${deployment.name} back to ${what}.`
    : `${deployment.name} serves ${what} again: ${addressOf(deployment)}`
  output.result({ deployment, operation }, words)
}

/** Takes a deployment off its servers, or puts it back. */
export const changeStatus = async (
  session: Session,
  target: string,
  status: Deployment['status'],
  options: WaitOptions
): Promise<void> => {
  const { output, subscription } = session
  const { id } = pick('deployment', await subscription.deployments(), target)
  const deployment = await subscription.changeDeployment(id, { status })
  const started = deployment.operation === undefined ? undefined : await subscription.operation(deployment.operation)
  const operation = started && options.wait ? await finish(session, started, options) : started
  const done = !operation || !isOpen(operation)
  const words = status === 'active' ? (done ? 'enabled' : 'being enabled') : done ? 'disabled' : 'being disabled'
  output.result({ deployment, operation }, `${deployment.name} is ${words}.`)
}

/** Waits until an operation has ended, telling how far it is. Fails when it did not become live. */
export const finish = async (session: Session, started: Operation, { timeout }: WaitOptions): Promise<Operation> => {
  const { clock, output, subscription } = session
  let last = started
  const ended = await waitFor({
    clock,
    deadlineMs: timeout * 1000,
    look: async () => {
      last = await subscription.operation(started.id)
      output.progress.show([operationText(last), obstacleText(last)].filter(Boolean).join('; '))
      return isOpen(last) ? undefined : last
    },
    late: () =>
      new CliError(
        'not_live_in_time',
        `${operationText(last)}: not live within ${timeout} s; it goes on by itself: berth status --watch`,
        exitCodes.operationFailed
      )
  })
  const serving = ended.state === 'live' ? undefined : (await subscription.status(ended.deployment)).live
  const failure = failureOf(ended, serving?.version)
  if (failure) throw failure
  return ended
}

/** The operation of an item that starts now: the platform begins it a moment later. */
export const finishScheduled = async (
  session: Session,
  item: ScheduleItem,
  options: WaitOptions
): Promise<Operation | undefined> => {
  const { clock, subscription } = session
  if (!options.wait) return item.operation === undefined ? undefined : subscription.operation(item.operation)
  const id = await waitFor({
    clock,
    deadlineMs: options.timeout * 1000,
    look: async () =>
      item.operation ?? (await subscription.scheduleItems(item.deployment)).find((other) => other.id === item.id)?.operation,
    late: () =>
      new CliError(
        'not_live_in_time',
        `version ${item.version} was not begun within ${options.timeout} s`,
        exitCodes.operationFailed
      )
  })
  return finish(session, await subscription.operation(id), options)
}

export const addressOf = ({ addresses, path }: Deployment): string => addresses[0] ?? path

/** The version that is asked for, else the newest. */
const pickVersion = async ({ subscription }: Session, application: string, wanted: number | undefined): Promise<number> => {
  const numbers = (await subscription.versions(application)).map(({ number }) => number).toSorted((a, b) => b - a)
  const [newest] = numbers
  if (newest === undefined) throw notFound('the application has no version yet: berth publish <dir> makes one')
  if (wanted !== undefined && !numbers.includes(wanted)) throw notFound(`there is no version ${wanted}; the newest is ${newest}`)
  return wanted ?? newest
}

type BuildChoice = { readonly name: string; readonly version?: string }

const offeredBuild = async ({ client }: Session, wanted: BuildChoice): Promise<BuildChoice> => {
  const offered = (await client.builds()).filter(({ status }) => status === 'offered')
  if (offered.some(({ name, version }) => name === wanted.name && (wanted.version ?? version) === version)) return wanted
  const names = [...new Set(offered.map(({ name, version }) => `${name}@${version}`))].join(', ')
  const text = wanted.version === undefined ? wanted.name : `${wanted.name}@${wanted.version}`
  throw notFound(`the build ${text} is not offered; there are: ${names || 'none'}`)
}

const buildChoice = (text: string): BuildChoice => {
  const [name = '', version] = text.split('@', 2)
  if (name === '' || version === '')
    throw usageError(`--build takes a name, or name@version as berth builds lists them, not ${text}`)
  return version === undefined ? { name } : { name, version }
}

const instantPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

/** A time without a zone means another instant on every machine: it is refused. */
const instant = (text: string): string => {
  const ms = instantPattern.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw usageError(`--at takes a time with its zone, as 2030-01-31T08:00:00+01:00, not ${text}`)
  return new Date(ms).toISOString()
}

/** A release by its id, or the newest one of a version. */
const earlierRelease = async ({ subscription }: Session, deployment: Deployment, wanted: string): Promise<string> => {
  const releases = await subscription.releases(deployment.id)
  const fitting = releases
    .filter(({ id, version }) => id === wanted || String(version) === wanted)
    .toSorted((a, b) => Number(b.wasLive) - Number(a.wasLive) || b.createdAt.localeCompare(a.createdAt))
  const [newest] = fitting
  if (newest) return newest.id
  const versions = [...new Set(releases.filter(({ wasLive }) => wasLive).map(({ version }) => version))]
  throw notFound(`${deployment.name} has no release ${wanted}; versions that were live: ${versions.join(', ') || 'none'}`)
}
