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

/** `deploy of version 3: preparing, 1 of 2 servers ready, 0 switched`. */
export const operationText = (operation: Operation): string => {
  const { state, progress } = operation
  const servers =
    progress.of === 0 ? '' : `, ${progress.ready} of ${counted(progress.of, 'server')} ready, ${progress.routed} switched`
  return `${actText(operation)}: ${state}${isOpen(operation) ? servers : ''}`
}

/** What an open operation waits for, or why one failed; nothing when it goes well. */
export const obstacleText = (operation: Operation): string | undefined => {
  if (isOpen(operation)) return operation.blocker
  return operation.reason && `${operation.reason.code}: ${operation.reason.message}`
}

/** The error for an operation that ended without becoming live, and nothing for one that did. */
export const failureOf = (operation: Operation, serving?: number): CliError | undefined => {
  if (operation.state === 'live') return undefined
  const what = `the ${actText(operation)}`
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

/** `deploy of version 3`, `rollback to version 2`, `disable`. */
const actText = ({ kind, version }: Operation): string => {
  if (version === null || kind === 'disable' || kind === 'enable') return kind
  return `${kind} ${kind === 'rollback' ? 'to' : 'of'} version ${version}`
}
