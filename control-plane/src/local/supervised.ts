import { join } from 'node:path'
import type { Clock } from '@berth/shared/clock'
import { findSupervisor, type StartSupervisorOptions, type Supervisor, startSupervisor } from '../cloud/local/supervisor.ts'
import type { Home } from './home.ts'
import type { LocalSettings } from './settings.ts'

const lookMs = 500
const pollMs = 1000

/** The local cloud of this home: what runs on each of its servers, and by which settings. */
export const supervisorOptions = ({
  home,
  settings,
  project,
  clock
}: {
  home: Home
  settings: LocalSettings
  project: string
  clock: Clock
}): StartSupervisorOptions => {
  const node = process.execPath
  const script = (path: string) => join(project, 'agent/src', path)
  const latency = settings.BERTH_STORE_LATENCY_MS === 0 ? {} : { latencyMs: settings.BERTH_STORE_LATENCY_MS }
  return {
    folder: home.cloud,
    node,
    // Nothing of the environment of whoever typed `npm start` reaches a server; compiled code is kept between starts.
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      LANG: 'C.UTF-8',
      NODE_COMPILE_CACHE: home.compiled
    },
    settings: {
      objects: { kind: 'folder', root: home.objects, ...latency },
      keysFolder: home.keys,
      pollMs,
      httpPort: settings.BERTH_HTTP_PORT,
      services: [
        // Small young generations: the agent allocates little for long, and its memory is every server's.
        { name: 'agent', command: node, args: ['--max-semi-space-size=1', script('main.ts')] },
        { name: 'front', command: node, args: [script('front/main.ts')] }
      ],
      drainMs: 10_000,
      stopGraceMs: 5000
    },
    clock
  }
}

/** Starts the supervisor again whenever it died: what it had started serves meanwhile. */
export const keepSupervisor = async (options: StartSupervisorOptions, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    // A start that fails is tried again: sites are served by the balancer and the servers, which need no supervisor.
    if (!(await findSupervisor(options.folder))) await startSupervisor(options).catch((): Supervisor | undefined => undefined)
    await options.clock.wait(lookMs, signal)
  }
}
