import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { jsonParser } from '@berth/shared/parse'
import { Type } from 'typebox'
import { apiOf, cli } from '../system/client.ts'
import { playRound } from './rounds.ts'
import { assertServedEverywhere, openStage, type Play, publishAndDeploy, type Stage, serverCount } from './stage.ts'

const rounds = Number(process.env.BERTH_ACCEPTANCE_ROUNDS ?? 6)
const exitOfFailedOperation = 5
const parseFailure = jsonParser(Type.Object({ code: Type.String(), message: Type.String() }), 'an error of the command line')

/**
 * What a bad release does at its start, what the message must say about it, and how long it may take: a pool that crashes is given up
 * long before its time is over, all others are asked until then.
 */
const bad = [
  { how: 'crash', does: 'crashes at its start', says: /crashed|given up/, startupMs: 60_000 },
  { how: '500', does: 'answers its probe with 500', says: /500/, startupMs: 4000 },
  { how: '302', does: 'answers its probe with 302', says: /302/, startupMs: 4000 },
  { how: 'hang', does: 'never becomes ready', says: /listen/, startupMs: 4000 }
] as const

describe('changes under a prober that never pauses', () => {
  let stage: Stage
  let version = rounds + 1
  before(async () => {
    stage = await openStage()
    stage.probe()
  })
  after(() => stage?.destroy())

  it(`loses no request of either sample in ${rounds} rounds of publish and deploy, roll back, roll forward`, async () => {
    await Promise.all(stage.plays.map((play) => playRounds(stage, play)))

    const report = await stage.curtain(`${rounds} rounds of both samples`)
    for (const { host } of stage.plays) {
      const histories = Object.values(report.versionsSeen[host] ?? {})
      assert.equal(histories.length, serverCount, 'every server was asked')
      // Version 1, and three switches a round: a server that went back by itself would show more.
      for (const spans of histories) assert.ok(spans.length <= 1 + 3 * rounds, `${spans.length} spans of versions on a server`)
    }
    stage.probe()
  })

  for (const { does, how, says, startupMs } of bad)
    it(`leaves the old release serving when the new one ${does}, and the command names the reason`, async () => {
      const play = stage.play('hello-node')
      const serving = rounds + 1
      version++
      const api = await apiOf(stage.system)
      assert.equal((await api('PATCH', `./deployments/${play.deployment}`, { probe: { startupMs } })).status, 200)
      await play.copy.stamp(version)
      await tellToFail(play.copy.folder, how)

      const args = ['publish', play.copy.folder, '--application', play.name, '--deploy', play.deployment, '--json']
      const { code, stderr } = await cli(stage.system, args)

      assert.equal(code, exitOfFailedOperation, stderr)
      const failure = parseFailure(stderr.trim().split('\n').at(-1) ?? '')
      assert.equal(failure.code, 'operation_failed')
      assert.match(failure.message, says)
      await assertServedEverywhere(stage, play, serving)
    })

  it('deploys a good release after the bad ones, and nobody noticed any of them', async () => {
    const play = stage.play('hello-node')
    version++
    await tellToFail(play.copy.folder, '')

    await publishAndDeploy(stage, play, version)

    await assertServedEverywhere(stage, play, version)
    await stage.curtain('Bad releases')
  })
})

const playRounds = async (stage: Stage, play: Play): Promise<void> => {
  for (let version = 2; version <= rounds + 1; version++) await playRound(stage, play, version)
}

/** The sample can be told by its environment to fail at its start; here its own code says so. */
const tellToFail = async (folder: string, how: string): Promise<void> => {
  const file = join(folder, 'server.mjs')
  const code = await readFile(file, 'utf8')
  assert.match(code, startSetting)
  await writeFile(file, code.replace(startSetting, `HELLO_START = '${how}'`))
}

const startSetting = /HELLO_START = '[^']*'/
