import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { listServers, type Server } from '../system/servers.ts'
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
import { openStage, publishAndDeploy, type Stage } from './stage.ts'

const storeAwayMs = 10_000

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
    await killControlPlane(stage)

    await changesStillArrive()
  })

  it('failed no request, but those that were on what was killed as it was killed', async () => {
    await stage.curtain('Every kill')
  })
})
