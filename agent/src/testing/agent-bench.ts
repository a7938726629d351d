import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '@berth/shared/clock'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { type Objects, ObjectsError } from '@berth/shared/objects/objects'
import { type Observed, type ObservedDeployment, parseObserved } from '@berth/shared/observed'
import { eventually } from '@berth/shared/testing/eventually'
import { type AgentOptions, agent } from '../agent.ts'
import { readBirth } from '../birth/birth.ts'
import { freeBytesOnDisk } from '../install/room.ts'
import type { TestFleet } from './fleet.ts'
import { writeServerFiles } from './server-files.ts'

/** Real agents on one server's disk, one after the other, against a test fleet's store. */
export const agentBench = async (
  fleet: TestFleet,
  host: AgentOptions['host'],
  options: Partial<AgentOptions> = {},
  server = 's-1'
) => {
  const serverFolder = join(fleet.folder, 'servers', server)
  await mkdir(serverFolder, { recursive: true })
  await writeServerFiles(fleet, serverFolder, { server })
  const store = switchableObjects(fleet.objects)
  const lines: string[] = []
  let running: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined

  const stop = async (): Promise<void> => {
    running?.stop.abort()
    await running?.ended
    running = undefined
  }
  const start = async (change: Partial<AgentOptions> = {}): Promise<void> => {
    const works = await agent({
      serverFolder,
      birth: await readBirth(serverFolder),
      objects: store.objects,
      keys: fleet.keys,
      host,
      clock: systemClock,
      platform: 'linux-x64',
      version: '0.1.0',
      freeBytes: freeBytesOnDisk,
      attempt: async () => [],
      canGiveIdentities: false,
      weakness: 'these are tests',
      log: (line) => lines.push(line),
      ...options,
      ...change
    })
    const stopping = new AbortController()
    running = { stop: stopping, ended: works.run(stopping.signal) }
  }
  const report = async (): Promise<Observed> => {
    const bytes = await getBytes(fleet.objects, layout.observed(fleet.fleet, server))
    if (!bytes) throw new Error('no report yet')
    return parseObserved(bytes)
  }

  return {
    serverFolder,
    store,
    lines,
    start,
    stop,
    report,
    /** Waits until the server's report says so. */
    untilReport: (check: (report: Observed) => unknown, what = 'the report') =>
      eventually(
        async () => {
          const found = await report()
          return check(found) ? found : undefined
        },
        { what, deadlineMs: 20_000 }
      ),
    untilDeployment: (deployment: string, check: (found: ObservedDeployment) => unknown, what = 'the report of a deployment') =>
      eventually(
        async () => {
          const found = (await report()).deployments.find((each) => each.deployment === deployment)
          return found && check(found) ? found : undefined
        },
        { what, deadlineMs: 20_000 }
      )
  }
}

/** The same store, which a test can take away and give back. */
const switchableObjects = (objects: Objects) => {
  let isGone = false
  const gets: string[] = []
  const check = (key: string) => {
    gets.push(key)
    if (isGone) throw new ObjectsError('unavailable', 'the store is gone')
  }
  return {
    gets,
    setGone: (gone: boolean) => {
      isGone = gone
    },
    objects: {
      ...objects,
      get: async (key, options) => {
        check(key)
        return objects.get(key, options)
      },
      put: async (key, body, options) => {
        if (isGone) throw new ObjectsError('unavailable', 'the store is gone')
        return objects.put(key, body, options)
      }
    } satisfies Objects
  }
}
