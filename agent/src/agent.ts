import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '@berth/shared/clock'
import { socketPathIn } from '@berth/shared/control-socket'
import { writeFileAtomic } from '@berth/shared/files'
import type { Keys } from '@berth/shared/keys/keys'
import { layout } from '@berth/shared/layout'
import type { Objects } from '@berth/shared/objects/objects'
import type { Observed } from '@berth/shared/observed'
import { openFirstRoot } from '@berth/shared/trust'
import { applier } from './apply.ts'
import type { Birth } from './birth/birth.ts'
import { limiter } from './bounded.ts'
import { type Checkpoint, noCheckpoint } from './checkpoint.ts'
import { diagnostics } from './diagnostics.ts'
import { failures as rememberFailures } from './failures.ts'
import { fallbacks as openFallbacks } from './fallbacks.ts'
import type { Host } from './host/host.ts'
import { builds as openBuilds } from './install/builds.ts'
import { identities as openIdentities } from './install/identities.ts'
import { releases as openReleases } from './install/releases.ts'
import type { FreeBytes } from './install/room.ts'
import { type Attempt, isolation } from './isolation/isolation.ts'
import { runLoop } from './loop.ts'
import { observer as makeObserver } from './observer.ts'
import { fleetKeys } from './packages/fleet-keys.ts'
import { packages as openPackages } from './packages/packages.ts'
import { poolMemory } from './pool-memory.ts'
import { reconciler as makeReconciler } from './reconcile.ts'
import { isSettled, reporter as makeReporter, observedDeployment } from './report.ts'
import { router as makeRouter } from './router.ts'
import { desiredFolder } from './store/desired-folder.ts'
import { desiredReader } from './store/desired-reader.ts'
import { sweeper } from './sweep.ts'

const startsMax = 4
const deploymentsReportedMax = 2000
const buildsReportedMax = 256
const hintMs = 20

export type AgentOptions = {
  readonly serverFolder: string
  readonly birth: Birth
  readonly objects: Objects
  readonly keys: Keys
  readonly host: Host
  readonly clock: Clock
  /** `linux-x64` and the like: builds for anything else are refused. */
  readonly platform: string
  readonly version: string
  readonly freeBytes: FreeBytes
  readonly attempt: Attempt
  /** Whether pools get operating-system identities of their own. */
  readonly canGiveIdentities: boolean
  /** Why pools get none and may run all the same: on a laptop only. */
  readonly weakness: string | undefined
  readonly log: (line: string) => void
  readonly checkpoint?: Checkpoint
}

/** Puts an agent together: everything that it touches came in as an argument. */
export const agent = async (o: AgentOptions) => {
  const { serverFolder, objects, host, clock, log, checkpoint = noCheckpoint } = o
  const { birth, machine } = o.birth
  const { fleet } = birth
  const stateFolder = join(serverFolder, 'state')
  await mkdir(stateFolder, { recursive: true, mode: 0o700 })
  await chmod(serverFolder, 0o711)
  const root = openFirstRoot(birth.root)
  const now = () => clock.now()

  const reader = await desiredReader({
    objects,
    folder: await desiredFolder(join(stateFolder, 'desired'), checkpoint),
    judge: { root, birth },
    now
  })
  const keys = await fleetKeys({ objects, keys: o.keys, fleet, folder: join(stateFolder, 'keys') })
  const packages = await openPackages({ objects, fleetKeys: keys, fleet, root, folder: join(stateFolder, 'packages') })
  const { freeBytes, platform } = o
  const builds = await openBuilds({ objects, fleet, root, folder: join(serverFolder, 'builds'), platform, freeBytes, checkpoint })
  const releases = await openReleases({ objects, fleet, folder: join(serverFolder, 'releases'), freeBytes, checkpoint })
  const identities = await openIdentities(stateFolder, machine.identities)
  const fallbacks = await openFallbacks(stateFolder)

  const router = makeRouter(host)
  const memory = poolMemory()
  const failures = rememberFailures()
  const { address } = machine
  const observer = makeObserver({ host, address, router, releases, builds, packages, memory, failures, fallbacks, clock })
  const identityOf = async (name: string) => (o.canGiveIdentities ? identities.get(name) : undefined)
  const guard = isolation({
    attempt: o.attempt,
    probeIdentity: () => identityOf('isolation-probe'),
    targets: async () => [
      ...['birth.json', 'machine.json'].map((name) => ({ kind: 'file', at: join(serverFolder, name) }) as const),
      ...[machine.keys.folder, stateFolder].map((at) => ({ kind: 'folder', at }) as const),
      ...[...(await host.controlSockets()), await socketPathIn(serverFolder, 'agent')].map(
        (at) => ({ kind: 'socket', at }) as const
      ),
      ...(birth.cloud === 'aws' ? [{ kind: 'address', at: '169.254.169.254:80' } as const] : [])
    ],
    weakness: o.weakness,
    clock
  })

  const apply = applier({
    host,
    address,
    packages,
    builds,
    releases,
    router,
    observer,
    memory,
    fallbacks,
    identityOf,
    requireIsolation: guard.require,
    starts: limiter(startsMax),
    clock
  })
  const reconciler = makeReconciler({
    observer,
    router,
    address,
    apply: async (deployment, desired, step, signal) => {
      await apply(deployment, desired, step, signal)
      checkpoint(`step/${step.kind}`)
    },
    failures,
    clock,
    log,
    keepDiagnostics: diagnostics({ objects, packages, fleet, server: machine.server, clock }),
    onChange: () => reporter.changed(),
    onAttempted: async () => {
      await writeFileAtomic(join(stateFolder, 'ready'), `${now().toISOString()}\n`)
      await router.setReady(true)
      reporter.changed()
    }
  })

  const report = (): Omit<Observed, 'at'> => {
    const { head, refusals } = reader.status()
    const held = reader.held()
    const contradiction = o.birth.contradiction
    return {
      format: 1,
      fleet,
      server: machine.server,
      zone: machine.zone,
      agent: o.version,
      generation: held?.head.generation ?? 0,
      digest: held?.head.digest ?? null,
      head,
      refusals: [...refusals, ...(contradiction ? [{ code: contradiction.code, message: contradiction.message }] : [])],
      ready: router.isReady() && observer.isFrontUp(),
      notIsolated: guard.notIsolated(),
      builds: builds.list().slice(0, buildsReportedMax),
      deployments: reconciler
        .states()
        .filter(({ desired, view }) => desired || view.pools.length > 0 || view.route)
        .slice(0, deploymentsReportedMax)
        .map((state) => observedDeployment(state, failures, observer.restartsOf))
    }
  }
  const settled = () =>
    new Set(
      reconciler
        .states()
        .filter(isSettled)
        .map(({ deployment }) => deployment)
    )
  const reporter = makeReporter({ objects, key: layout.observed(fleet, machine.server), build: report, settled, clock })

  const sweep = sweeper({ reader, reconciler, packages, builds })

  return {
    /** Works until `signal` aborts; then it ends and touches no pool. */
    run: async (signal: AbortSignal): Promise<void> => {
      const unsubscribe = host.onChange(hinted(() => reconciler.hint(), clock, signal))
      try {
        await runLoop({ reader, reconciler, reporter, sweep: quietly(sweep, log), clock, pollMs: machine.pollMs, fleet }, signal)
      } finally {
        unsubscribe()
        await reconciler.close()
        await reporter.idle()
      }
    },
    /** What the report says, at this moment. */
    status: (): Observed => ({ ...report(), at: now().toISOString() })
  }
}

/** Hints come in swarms: the first one waits a little and stands for all that come meanwhile. */
const hinted = (look: () => Promise<void>, clock: Clock, signal: AbortSignal): (() => void) => {
  let isWaiting = false
  return () => {
    if (isWaiting || signal.aborted) return
    isWaiting = true
    void clock.wait(hintMs, signal).then(() => {
      isWaiting = false
      return look()
    })
  }
}

const quietly =
  (work: () => Promise<void>, log: (line: string) => void): (() => Promise<void>) =>
  () =>
    work().catch((error) =>
      log(`what is no longer needed could not be removed: ${error instanceof Error ? error.message : error}`)
    )
