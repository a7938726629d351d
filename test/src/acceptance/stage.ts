import assert from 'node:assert/strict'
import { parser } from '@berth/shared/parse'
import { eventually } from '@berth/shared/testing/eventually'
import { Type } from 'typebox'
import { type Endpoint, isConnection, openConnection } from '../prober/connection.ts'
import { type Judgement, type Killing, proveKilled } from '../prober/killed.ts'
import type { ProbeReport } from '../prober/ledger.ts'
import { type Prober, startProber } from '../prober/prober.ts'
import { type Answerer, answererOf, type Target } from '../prober/targets.ts'
import { cliOk } from '../system/client.ts'
import { copySample, type SampleCopy, type SampleName } from '../system/samples.ts'
import { abortedConnections, allReady, type Kill, listServers, type Server } from '../system/servers.ts'
import { createSystem, type System } from '../system/system.ts'

/** How many servers the fleet of an acceptance run has. */
export const serverCount = 3
/** The longest that anything takes to come back. */
export const comesBackMsMax = 60_000

/** A sample that is deployed, with its copy to publish from. */
export type Play = {
  readonly name: SampleName
  readonly deployment: string
  readonly host: string
  readonly copy: SampleCopy
  readonly target: Target
}

export type Stage = {
  readonly system: System
  readonly plays: readonly Play[]
  readonly play: (name: SampleName) => Play
  /** Starts to probe both samples, and does not stop before `curtain`. */
  readonly probe: () => Prober
  /** Kills, with the prober as its witness. */
  readonly kill: (kind: Killing['kind'], server: Server, work: () => Promise<Kill>) => Promise<void>
  /** Stops the prober, prints what it saw, and fails when one request failed without a proof that it may be counted apart. */
  readonly curtain: (title: string) => Promise<ProbeReport>
  readonly destroy: () => Promise<void>
}

/** A system that runs as `npm start` leaves it, both samples served by every server, and copies of them to publish from. */
export const openStage = async (settings: Readonly<Record<string, string>> = {}): Promise<Stage> => {
  const system = await createSystem({ BERTH_SERVERS: String(serverCount), ...settings })
  try {
    await system.start()
    await allReady(system, serverCount)
    return stageOf(system, await findPlays(system))
  } catch (error) {
    await system.destroy()
    throw error
  }
}

const stageOf = (system: System, plays: readonly Play[]): Stage => {
  const killings: Killing[] = []
  let prober: Prober | undefined

  return {
    system,
    plays,
    play: (name) => {
      const found = plays.find((play) => play.name === name)
      if (!found) throw new Error(`no play of ${name}`)
      return found
    },
    probe: () => {
      prober = startProber({ targets: plays.map(({ target }) => target), paceMs, lines: { 'keep-alive': 2 } })
      return prober
    },
    kill: async (kind, server, work) => {
      if (!prober) throw new Error('nobody watches')
      const { inFlight, result } = await prober.witness(work)
      const mayBeThere = inFlight.filter(({ known }) => known.server === undefined || known.server === server.server)
      killings.push({ kind, server: server.server, ...result, inFlight: mayBeThere })
    },
    curtain: async (title) => {
      if (!prober) throw new Error('nobody watched')
      const report = await prober.stop()
      prober = undefined
      const judgement = proveKilled({ failures: report.failures, killings, aborted: await abortedConnections(system) })
      console.log(summaryOf(title, report, judgement))
      assert.deepEqual(judgement.unproven, [], 'requests failed')
      assert.deepEqual(judgement.overblamed, [], 'a kill is blamed for more requests than were under way there')
      return report
    },
    destroy: async () => {
      await prober?.stop()
      await system.destroy()
    }
  }
}

// Any pause of the service that is longer than this shows as a failed or slow request, and two cores still have time to serve.
const paceMs = 12

const summaryOf = (title: string, report: ProbeReport, { countedApart, unproven }: Judgement): string => {
  const lines = [
    `${title}: ${report.requests} requests, ${unproven.length} failed, ${countedApart.length} counted apart, ` +
      `${report.retriedIdleClose.length} retried on a closed connection`,
    `  by kind: ${Object.entries(report.byKind)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ')}`,
    `  slowest good answer in ms: ${Object.entries(report.slowestMs)
      .map(([kind, ms]) => `${kind} ${ms}`)
      .join(', ')}`,
    ...countedApart.map(
      ({ failure, proof }) => `  counted apart: ${failure.method} ${failure.host}${failure.path} (${failure.detail}): ${proof}`
    ),
    ...unproven.map((failure) => `  FAILED: ${JSON.stringify(failure)}`)
  ]
  return lines.join('\n')
}

const parseDeployments = parser(
  Type.Object({ items: Type.Array(Type.Object({ id: Type.String(), application: Type.String() })) }),
  'deployments'
)
const parseApplications = parser(
  Type.Object({ items: Type.Array(Type.Object({ id: Type.String(), name: Type.String() })) }),
  'applications'
)
const parsePublished = parser(Type.Object({ version: Type.Integer() }), 'what was published')

/** Both samples as `npm start` deployed them, with a copy of each. */
export const findPlays = (system: System): Promise<Play[]> =>
  Promise.all((['hello-node', 'hello-static'] as const).map((name) => findPlay(system, name)))

const findPlay = async (system: System, name: SampleName): Promise<Play> => {
  const site = system.ready().sites.find((candidate) => candidate.name === name)
  if (!site) throw new Error(`npm start deployed no ${name}`)
  const applications = parseApplications((await cliOk(system, 'applications', '--json')).json())
  const application = applications.items.find((candidate) => candidate.name === name)
  const deployments = parseDeployments((await cliOk(system, 'deployments', '--json')).json())
  const deployment = deployments.items.find((candidate) => candidate.application === application?.id)
  if (!deployment) throw new Error(`there is no deployment of ${name}`)
  const copy = await copySample(name, `${system.folder}/samples`)
  return { name, deployment: deployment.id, host: site.host, copy, target: copy.target(site.host, entryOf(system)) }
}

/** Where browsers go: `address:port`, or a URL. */
const entryOf = (system: System): Endpoint => {
  const { entry } = system.ready()
  const url = new URL(entry.includes('://') ? entry : `http://${entry}`)
  return { address: url.hostname, port: Number(url.port || 80) }
}

/** Publishes the copy as this version and deploys it, as a person does; returns when the platform says that it is live. */
export const publishAndDeploy = async ({ system }: Stage, play: Play, version: number): Promise<void> => {
  await play.copy.stamp(version)
  const published = await cliOk(
    system,
    'publish',
    play.copy.folder,
    '--application',
    play.name,
    '--deploy',
    play.deployment,
    '--json'
  )
  assert.equal(parsePublished(published.json()).version, version)
}

export const rollBack = async ({ system }: Stage, play: Play): Promise<void> => {
  await cliOk(system, 'rollback', play.deployment, '--json')
}

export const deployVersion = async ({ system }: Stage, play: Play, version: number): Promise<void> => {
  await cliOk(system, 'deploy', play.deployment, '--version', String(version), '--json')
}

/** Who answers on this very server, and with which version; asked directly, past the balancer. */
export const askServer = async (server: Server, play: Play): Promise<Answerer & { version: string | undefined }> => {
  const opened = await openConnection(server, 5000)
  if (!isConnection(opened)) throw new Error(`${server.server} takes no connection`)
  const exchange = await opened.exchange({ method: 'GET', host: play.host, path: '/' }, 5000)
  opened.close()
  if (exchange.outcome === 'failed') throw new Error(`${server.server}: ${exchange.detail}`)
  const { version, wrong } = play.target.judge('/', exchange.answer)
  if (exchange.answer.status !== 200 || wrong !== undefined)
    throw new Error(`${server.server} answered ${exchange.answer.status} for ${play.host}: ${wrong ?? ''}`)
  return { ...answererOf(exchange.answer), version }
}

/** Every server serves this version now: what `live` means. */
export const assertServedEverywhere = async (stage: Stage, play: Play, version: number): Promise<void> => {
  const servers = await listServers(stage.system)
  assert.equal(servers.length, serverCount)
  const answers = await Promise.all(servers.map((server) => askServer(server, play)))
  assert.deepEqual(
    answers.map((answer) => answer.version),
    servers.map(() => String(version)),
    `${play.name} is live as version ${version}, so every server serves it`
  )
}

/** Waits until every server serves this version. */
export const untilServedEverywhere = async (stage: Stage, play: Play, version: number): Promise<void> => {
  for (const server of await listServers(stage.system)) await untilServes(server, play, version, comesBackMsMax)
}

const parseStatus = parser(Type.Object({ live: Type.Object({ version: Type.Integer() }) }), 'a status')

/** The version that the platform says is live. */
export const liveVersion = async ({ system }: Stage, play: Play): Promise<number> =>
  parseStatus((await cliOk(system, 'status', play.deployment, '--json')).json()).live.version

/** Waits until a server serves a version again. */
export const untilServes = (server: Server, play: Play, version: number, deadlineMs = comesBackMsMax): Promise<Answerer> =>
  eventually(async () => ((await askServer(server, play)).version === String(version) ? askServer(server, play) : undefined), {
    deadlineMs,
    everyMs: 50,
    what: `version ${version} of ${play.name} on ${server.server}`
  })
