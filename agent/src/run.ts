import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BirthRecord, MachineIdentity } from '@berth/shared/birth'
import { systemClock } from '@berth/shared/clock'
import { serveControl, socketPathIn } from '@berth/shared/control-socket'
import type { Keys } from '@berth/shared/keys/keys'
import { localKeys } from '@berth/shared/keys/local'
import { restrictedKeys } from '@berth/shared/keys/restricted'
import { layout } from '@berth/shared/layout'
import { delayedObjects } from '@berth/shared/objects/delayed'
import { folderObjects } from '@berth/shared/objects/folder'
import type { Objects } from '@berth/shared/objects/objects'
import { scopedObjects } from '@berth/shared/objects/scoped'
import { fleetKeyName } from '@berth/shared/release'
import { agent } from './agent.ts'
import { readBirth } from './birth/birth.ts'
import { processHost } from './host/process.ts'
import { freeBytesOnDisk } from './install/room.ts'
import { attemptAs, findClosedFolder } from './isolation/isolation.ts'
import { lazyKeys, lazyObjects } from './store/lazy.ts'

/** Works until `stop` aborts and then ends; what serves goes on serving. `onUp` is called when everything is open. */
export const runAgent = async (serverFolder: string, stop: AbortSignal, onUp: () => void): Promise<void> => {
  const log = (line: string) => process.stdout.write(`${new Date().toISOString()} ${line}\n`)

  const birth = await readBirth(serverFolder)
  if (birth.contradiction) log(birth.contradiction.message)
  const isRoot = process.getuid?.() === 0
  const weakness = await findWeakness(birth.birth, serverFolder, isRoot)
  if (weakness !== undefined) log(`not isolated: ${weakness}`)

  const works = await agent({
    serverFolder,
    birth,
    objects: openObjects(birth.birth, birth.machine),
    keys: openKeys(birth.birth, birth.machine),
    host: await processHost({ serverFolder, node: process.execPath, clock: systemClock }),
    clock: systemClock,
    platform: `${process.platform}-${process.arch}`,
    version: await readVersion(),
    freeBytes: freeBytesOnDisk,
    attempt: attemptAs(process.execPath),
    canGiveIdentities: isRoot && weakness === undefined,
    weakness,
    log
  })
  const control = await serveControl(await socketPathIn(serverFolder, 'agent'), { 'GET /status': async () => works.status() })
  log(`the agent of ${birth.machine.server} in fleet ${birth.birth.fleet} is up`)
  onUp()
  try {
    await works.run(stop)
  } finally {
    await control.close()
  }
}

/** On a laptop an agent that cannot separate pools says so and goes on; in a cloud it starts none. */
const findWeakness = async ({ cloud }: BirthRecord, serverFolder: string, isRoot: boolean): Promise<string | undefined> => {
  if (cloud !== 'local') return undefined
  if (!isRoot) return 'the agent is not root: all applications run as its own user and can read what it can read'
  const closed = await findClosedFolder(serverFolder)
  return closed === undefined
    ? undefined
    : `other users cannot enter ${closed}: all applications run as root. Keep the data folder where others may pass through (mode 0711)`
}

/** The store as this server may see it: its fleet's prefix to read, its own report and what it ships to write. */
const openObjects = ({ fleet }: BirthRecord, { server, objects }: MachineIdentity): Objects => {
  const store = lazyObjects(() => folderObjects({ root: objects.root }))
  const scoped = scopedObjects(store, {
    read: [layout.fleetPrefix(fleet)],
    write: [layout.observed(fleet, server), layout.reportsPrefix(fleet, server)]
  })
  return objects.latencyMs === undefined ? scoped : delayedObjects(scoped, objects.latencyMs, systemClock)
}

const openKeys = ({ fleet }: BirthRecord, { keys }: MachineIdentity): Keys =>
  restrictedKeys(
    lazyKeys(() => localKeys({ folder: keys.folder })),
    { unwrap: [fleetKeyName(fleet)] }
  )

const readVersion = async (): Promise<string> => {
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, '..', 'package.json'), 'utf8'))
  return String(version)
}
