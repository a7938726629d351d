import { parser } from '@berth/shared/parse'
import { eventually } from '@berth/shared/testing/eventually'
import { Type } from 'typebox'
import type { Play } from '../acceptance/stage.ts'
import { apiOf, cliOk } from '../system/client.ts'
import { listServers } from '../system/servers.ts'
import type { System } from '../system/system.ts'
import { servedOnAllMs } from './served.ts'

export type SwitchTimes = { readonly deployMs: readonly number[]; readonly rollbackMs: readonly number[] }

const servedMsMax = 60_000

const parseItem = parser(Type.Object({ id: Type.String() }), 'a schedule item')
const parseOperation = parser(Type.Object({ id: Type.String(), state: Type.String() }), 'an operation')
const parseStatus = parser(Type.Object({ operation: Type.Object({ state: Type.String(), kind: Type.String() }) }), 'a status')

/**
 * From the moment at which the API has accepted a deploy, or a rollback, until the last server serves it. Every deploy is of a
 * version that no server has seen: it is packaged, fetched, installed, started and probed.
 */
export const measureSwitches = async (
  system: System,
  play: Play,
  count: number,
  progress: (line: string) => void
): Promise<SwitchTimes> => {
  const api = await apiOf(system)
  const servers = await listServers(system)
  for (let version = 2; version <= count + 1; version++) {
    await play.copy.stamp(version)
    await cliOk(system, 'publish', play.copy.folder, '--application', play.name, '--json')
    if (version % 10 === 0) progress(`published ${version - 1} of ${count} versions`)
  }
  const call = async (path: string, body: unknown): Promise<unknown> => {
    const answer = await api('POST', path, body)
    if (answer.status !== 202) throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const settled = () =>
    eventually(
      async () => parseStatus((await api('GET', `./deployments/${play.deployment}/status`)).body).operation.state === 'live',
      {
        what: 'a live operation',
        deadlineMs: servedMsMax
      }
    )
  const served = (version: number, startedAt: number) =>
    servedOnAllMs({ servers, host: play.host, version: String(version), startedAt, deadlineMs: servedMsMax })

  const deployMs: number[] = []
  const rollbackMs: number[] = []
  for (let version = 2; version <= count + 1; version++) {
    parseItem(await call(`./deployments/${play.deployment}/schedule-items`, { version }))
    deployMs.push(await served(version, performance.now()))
    await settled()
    parseOperation(await call(`./deployments/${play.deployment}/rollback`, {}))
    rollbackMs.push(await served(1, performance.now()))
    await settled()
    if (version % 10 === 0) progress(`measured ${version - 1} of ${count} deploys and rollbacks`)
  }
  return { deployMs, rollbackMs }
}
