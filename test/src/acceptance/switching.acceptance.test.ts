import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { playRound } from './rounds.ts'
import { openStage, type Play, type Stage } from './stage.ts'

const rounds = Number(process.env.BERTH_ACCEPTANCE_ROUNDS ?? 20)

describe('publishing, deploying and rolling back under a prober that never pauses', () => {
  let stage: Stage
  before(async () => {
    stage = await openStage()
  })
  after(() => stage?.destroy())

  it(`loses no request of either sample in ${rounds} rounds of deploy, roll back, roll forward`, async () => {
    stage.probe()

    await Promise.all(stage.plays.map((play) => playRounds(stage, play)))

    const report = await stage.curtain(`${rounds} rounds of both samples`)
    for (const { host } of stage.plays) {
      const histories = Object.values(report.versionsSeen[host] ?? {})
      assert.equal(histories.length, 3, 'every server was asked')
      // Version 1, and three switches a round: a server that went back by itself would show more.
      for (const spans of histories) assert.ok(spans.length <= 1 + 3 * rounds, `${spans.length} spans of versions on a server`)
    }
  })
})

const playRounds = async (stage: Stage, play: Play): Promise<void> => {
  for (let version = 2; version <= rounds + 1; version++) await playRound(stage, play, version)
}
