import type { Failure, RequestRecord } from './ledger.ts'

/**
 * A kill, as the one who did it saw it: `at` just before the first signal, `doneAt` as soon as the last process was seen to be gone.
 * Between them a dying process's system may still take connections that it then resets.
 */
export type Killing = {
  readonly kind: 'worker' | 'server'
  readonly server: string
  readonly pids: readonly number[]
  readonly at: number
  readonly doneAt: number
  /** The prober's requests that were under way at any moment from `at` to `doneAt`. */
  readonly inFlight: readonly RequestRecord[]
}

/** A line of the supervisor's ring: the balancer's connection to this server died under this client's port. */
export type AbortedConnection = { readonly at: number; readonly clientPort: number; readonly server: string }

export type CountedApart = { readonly failure: Failure; readonly killing: Killing; readonly proof: string }

export type Judgement = {
  readonly countedApart: readonly CountedApart[]
  /** These are failures, whatever was killed. */
  readonly unproven: readonly Failure[]
  /** Kills that are blamed for more requests than were under way there: then nothing is proven. */
  readonly overblamed: readonly Killing[]
}

/** A death is noticed at once on this machine; a failure that comes later has another cause. */
const noticedWithinMs = 2000

/**
 * Parts the failures into those that were on a connection to the very process that was killed, at the moment it was killed, and
 * the rest. Nothing is presumed: without a proof it is a failure.
 */
export const proveKilled = ({
  failures,
  killings,
  aborted
}: {
  readonly failures: readonly Failure[]
  readonly killings: readonly Killing[]
  readonly aborted: readonly AbortedConnection[]
}): Judgement => {
  const countedApart: CountedApart[] = []
  const unproven: Failure[] = []
  for (const failure of failures) {
    const proven = killings
      .filter((killing) => wasUnderWay(failure, killing))
      .map((killing) => ({ failure, killing, proof: findProof(failure, killing, aborted) }))
      .find((candidate): candidate is CountedApart => candidate.proof !== undefined)
    if (proven) countedApart.push(proven)
    else unproven.push(failure)
  }
  const blamedFor = (killing: Killing) => countedApart.filter((counted) => counted.killing === killing).length
  return { countedApart, unproven, overblamed: killings.filter((killing) => blamedFor(killing) > killing.inFlight.length) }
}

/** It began before the kill was over, ended after the kill began, and failed as soon as a death is noticed. */
const wasUnderWay = (failure: Failure, killing: Killing): boolean =>
  failure.startedAt <= killing.doneAt && failure.endedAt >= killing.at && failure.endedAt <= killing.doneAt + noticedWithinMs

const findProof = (failure: Failure, killing: Killing, aborted: readonly AbortedConnection[]): string | undefined =>
  killing.kind === 'server' ? proofOfServer(failure, killing, aborted) : proofOfWorker(failure, killing)

const proofOfServer = (failure: Failure, killing: Killing, aborted: readonly AbortedConnection[]): string | undefined => {
  const entry = aborted.find(
    ({ at, clientPort, server }) =>
      server === killing.server && clientPort === failure.localPort && at >= killing.at && at <= killing.doneAt + noticedWithinMs
  )
  return entry && `the balancer lost the connection from port ${entry.clientPort} to ${entry.server} at ${entry.at}`
}

/**
 * The worker named itself in the head of the answer that broke off; or the request was one that no front may send twice, and the
 * answer before it on the same connection came from that worker.
 */
const proofOfWorker = (failure: Failure, killing: Killing): string | undefined => {
  const isIt = ({ server, worker }: Failure['own']) =>
    server === killing.server && worker !== undefined && killing.pids.includes(worker.pid)
  if (isIt(failure.own)) return `the answer that broke off named worker ${failure.own.worker?.pid} of ${killing.server}`
  if (failure.method === 'GET') return undefined
  return isIt(failure.known)
    ? `worker ${failure.known.worker?.pid} of ${killing.server} had just answered on the connection from port ${failure.localPort}`
    : undefined
}
