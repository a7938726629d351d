import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseHead } from '@berth/shared/desired'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { folderObjects } from '@berth/shared/objects/folder'
import { parseObserved } from '@berth/shared/observed'
import { eventually } from '@berth/shared/testing/eventually'
import { allReady, controlPlaneOf, killAll, killServer, listServers, postgresOf, type Server } from '../system/servers.ts'
import {
  killAgent,
  killControlPlane,
  killKeepers,
  killPostgres,
  killSupervisor,
  killWholeServer,
  killWorker,
  withoutStore
} from './kills.ts'
import { assertChangesArrive } from './rounds.ts'
import { openStage, publishAndDeploy, type Stage, serverCount, untilServes } from './stage.ts'

const storeAwayMs = 10_000
const headValiditySeconds = 20

describe('whatever is killed under a prober that never pauses', () => {
  let stage: Stage
  let servers: Server[]
  before(async () => {
    stage = await openStage()
    servers = await listServers(stage.system)
    for (const play of stage.plays) await publishAndDeploy(stage, play, 2)
    stage.probe()
  })
  after(() => stage?.destroy())

  const serverAt = (index: number): Server => {
    const server = servers[index]
    assert.ok(server)
    return server
  }
  const changesStillArrive = () => assertChangesArrive(stage, stage.play('hello-node'))

  it('starts a killed worker again, and its server serves on', () => killWorker(stage, serverAt(0)))

  it('touches no worker and no front when an agent is killed, and has another agent', async () => {
    await killAgent(stage, serverAt(1))

    await changesStillArrive()
  })

  it('keeps the workers of killed keepers', async () => {
    await killKeepers(stage, serverAt(1))

    await changesStillArrive()
  })

  it('sends nobody to a server that was killed as a whole, and brings it back from its own disk', () =>
    killWholeServer(stage, serverAt(2)))

  it('serves on while the store is away, and takes changes when it is back', async () => {
    await withoutStore(stage, () => sleep(storeAwayMs))

    await changesStillArrive()
  })

  it('serves on without PostgreSQL, which comes back with everything in it', async () => {
    await killPostgres(stage)

    await changesStillArrive()
  })

  it('serves on without a supervisor, and the next one adopts what runs', () => killSupervisor(stage))

  it('serves on without the control plane, which carries on with the same data when it is started again', async () => {
    // Heads that it signs from here on run out while we wait for that; each is fresh when it is written.
    await killControlPlane(stage, { BERTH_HEAD_VALIDITY_SECONDS: String(headValiditySeconds) })

    await changesStillArrive()
  })

  it('serves on when both the control plane and its database are gone for good', async () => {
    await killAll([await controlPlaneOf(stage.system), await postgresOf(stage.system)])
    await stage.system.over()
  })

  it('reboots a server into full service from its own disk, without a store', async () => {
    const [server] = await listServers(stage.system)
    assert.ok(server)

    await withoutStore(stage, async () => {
      await stage.kill('server', server, () => killServer(server))
      await allReady(stage.system, serverCount)
      for (const play of stage.plays) await untilServes(server, play, 2)
    })
  })

  it('brings a newborn server into full service from the store, by a head that has expired, and says so', async () => {
    const before = await listServers(stage.system)
    const lost = before[1]
    assert.ok(lost)
    await eventually(async () => (await validUntil(stage, lost)) < Date.now(), {
      what: 'the end of the head’s validity',
      deadlineMs: (headValiditySeconds + 10) * 1000
    })

    await stage.kill('server', lost, async () => {
      const kill = await killServer(lost)
      // Gone in one step, as a disk is: whoever starts there again meanwhile finds nothing.
      await rename(lost.folder, join(stage.system.folder, 'lost-disk'))
      return kill
    })

    const isNew = ({ server }: Server) => !before.some((other) => other.server === server)
    const newborn = await eventually(async () => (await listServers(stage.system)).find(isNew), { what: 'a newborn server' })
    for (const play of stage.plays) await untilServes(newborn, play, 2)
    await allReady(stage.system, serverCount)
    assert.ok(!(await listServers(stage.system)).some(({ server }) => server === lost.server))
    await eventually(async () => (await report(stage, newborn))?.head === 'stale', { what: 'a report that says stale' })
  })

  it('failed no request, but those that were on what was killed as it was killed', async () => {
    await stage.curtain('Every kill')
  })
})

const objectsOf = (stage: Stage) => folderObjects({ root: join(stage.system.home, 'objects') })

const validUntil = async (stage: Stage, { fleet }: Server): Promise<number> => {
  const bytes = await getBytes(await objectsOf(stage), layout.head(fleet))
  assert.ok(bytes)
  const { payload } = JSON.parse(bytes.toString('utf8')) as { payload: string } // a DSSE envelope; its signature is the agents' business
  return Date.parse(parseHead(Buffer.from(payload, 'base64')).validUntil)
}

const report = async (stage: Stage, { fleet, server }: Server) => {
  const bytes = await getBytes(await objectsOf(stage), layout.observed(fleet, server))
  return bytes && parseObserved(bytes)
}
