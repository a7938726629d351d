import { parseArgs } from 'node:util'
import {
  killAgent,
  killControlPlane,
  killKeepers,
  killPostgres,
  killSupervisor,
  killWholeServer,
  killWorker
} from './acceptance/kills.ts'
import { playRound } from './acceptance/rounds.ts'
import { openStage, type Stage } from './acceptance/stage.ts'
import { listServers, type Server } from './system/servers.ts'

/** The acceptance loop, over and over: every round switches both samples three times, and then something is killed. */
const usage = 'usage: npm run soak -- [--rounds <number>] [--minutes <number>] [--curtain-every <rounds>]'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '300' },
    minutes: { type: 'string', default: '240' },
    'curtain-every': { type: 'string', default: '20' }
  }
})
const [rounds, minutes, curtainEvery] = [values.rounds, values.minutes, values['curtain-every']].map(Number)
if (!rounds || !minutes || !curtainEvery) throw new Error(usage)

const kills: readonly (readonly [string, (stage: Stage, server: Server) => Promise<void>])[] = [
  ['a worker', killWorker],
  ['an agent', killAgent],
  ['keepers', killKeepers],
  ['a whole server', killWholeServer],
  ['PostgreSQL', killPostgres],
  ['the supervisor', killSupervisor],
  ['the control plane', (theStage) => killControlPlane(theStage)]
]

const stage = await openStage()
try {
  const deadline = Date.now() + minutes * 60_000
  let round = 0
  while (round < rounds && Date.now() < deadline) {
    stage.probe()
    for (let last = Math.min(rounds, round + curtainEvery); round < last && Date.now() < deadline; round++) {
      await Promise.all(stage.plays.map((play) => playRound(stage, play, round + 2)))
      await killOne(round)
    }
    await stage.curtain(`${round} of ${rounds} rounds`)
  }
  console.log(`soak: ${round} rounds, 0 failed requests`)
} finally {
  await stage.destroy()
}

/** Every kind of kill in turn, on every server in turn. */
async function killOne(round: number): Promise<void> {
  const servers = await listServers(stage.system)
  const kill = kills[round % kills.length]
  const server = servers[Math.floor(round / kills.length) % servers.length]
  if (!kill || !server) throw new Error('there is nothing to kill')
  console.log(`round ${round + 1}: killing ${kill[0]} (${server.server})`)
  await kill[1](stage, server)
}
