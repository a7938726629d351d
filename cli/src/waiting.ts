import type { Operation } from '@berth/shared/api/operations'
import type { Clock } from '@berth/shared/clock'
import { CliError, exitCodes, isUnreachable } from './errors.ts'
import { counted } from './text.ts'

/** How often something is asked for: at first often, because a rollback takes less than a second. */
const pollMs = (elapsedMs: number): number => (elapsedMs < 10_000 ? 200 : 1000)
/** An API that is away for a moment ends no wait: what was asked for goes on without it. */
const unreachableMsMax = 60_000

/** Asks again and again until `look` answers something, or the deadline passes and `late` is thrown. */
export const waitFor = async <T>(o: {
  readonly clock: Clock
  readonly deadlineMs: number
  readonly look: () => Promise<T | undefined>
  readonly late: () => CliError
}): Promise<T> => {
  const startedAt = o.clock.now().getTime()
  const elapsed = () => o.clock.now().getTime() - startedAt
  let answeredAt = 0
  for (;;) {
    try {
      const found = await o.look()
      if (found !== undefined) return found
      answeredAt = elapsed()
    } catch (error) {
      if (!isUnreachable(error) || elapsed() - answeredAt > unreachableMsMax) throw error
    }
    if (elapsed() > o.deadlineMs) throw o.late()
    await o.clock.wait(pollMs(elapsed()))
  }
}

export const isOpen = ({ state }: Operation): boolean => state === 'queued' || state === 'preparing' || state === 'switching'

/** `deploy of version 3: 1 of 2 servers ready, 0 switched; waiting for s-2`. */
export const operationText = (operation: Operation): string => {
  const { kind, version, state, progress, blocker } = operation
  const what = version === null ? kind : `${kind} of version ${version}`
  const servers =
    progress.of === 0 ? '' : `, ${progress.ready} of ${counted(progress.of, 'server')} ready, ${progress.routed} switched`
  return `${what}: ${state}${isOpen(operation) ? servers : ''}${blocker && isOpen(operation) ? `; waiting for ${blocker}` : ''}`
}

/** The error for an operation that ended without becoming live, and nothing for one that did. */
export const failureOf = (operation: Operation, serving?: number): CliError | undefined => {
  if (operation.state === 'live') return undefined
  const what = operation.version === null ? operation.kind : `the ${operation.kind} of version ${operation.version}`
  const still = serving === undefined ? 'nothing else was changed' : `version ${serving} still serves`
  const why = operation.reason ? ` (${operation.reason.code}: ${operation.reason.message})` : ''
  if (operation.state === 'superseded')
    return new CliError(
      'superseded',
      `${what} was overtaken by a later change${why}; see berth status`,
      exitCodes.operationFailed
    )
  return new CliError('operation_failed', `${what} failed${why}; ${still}`, exitCodes.operationFailed)
}
