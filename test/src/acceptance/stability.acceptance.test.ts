import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseHead } from '@berth/shared/desired'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { folderObjects } from '@berth/shared/objects/folder'
import { parseObserved } from '@berth/shared/observed'
import { eventually } from '@berth/shared/testing/eventually'
import { allReady, controlPlaneOf, killAll, killServer, listServers, postgresOf, type Server } from '../system/servers.ts'
import { withoutStore } from './kills.ts'
import { askServer, openStage, publishAndDeploy, type Stage, serverCount, untilServes } from './stage.ts'

// So short that it runs out while we wait; every head that is written is fresh, so changes still arrive before.
const headValiditySeconds = 20

describe('with the control plane and its database gone', () => {
  let stage: Stage
  before(async () => {
    stage = await openStage({ BERTH_HEAD_VALIDITY_SECONDS: String(headValiditySeconds) })
    for (const play of stage.plays) await publishAndDeploy(stage, play, 2)
    stage.probe()
    const gone = [await controlPlaneOf(stage.system), await postgresOf(stage.system)]
    await killAll(gone)
    await stage.system.over()
  })
  after(() => stage?.destroy())

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
    await stage.curtain('Without a control plane')
    for (const play of stage.plays)
      for (const server of await listServers(stage.system)) assert.equal((await askServer(server, play)).version, '2')
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
