import assert from 'node:assert/strict'
import {
  assertServedEverywhere,
  deployVersion,
  liveVersion,
  type Play,
  publishAndDeploy,
  rollBack,
  type Stage,
  untilServedEverywhere
} from './stage.ts'

/**
 * One round of a sample: publish and deploy the next version, roll back, roll forward; after each, every server serves what
 * the platform said is live.
 */
export const playRound = async (stage: Stage, play: Play, version: number): Promise<void> => {
  await publishAndDeploy(stage, play, version)
  await assertServedEverywhere(stage, play, version)
  await rollBack(stage, play)
  await assertServedEverywhere(stage, play, version - 1)
  await deployVersion(stage, play, version)
  await assertServedEverywhere(stage, play, version)
}

/**
 * Changes still reach every server. A server that has just come back may not yet be counted by the platform as one to wait for;
 * it catches up by itself.
 */
export const assertChangesArrive = async (stage: Stage, play: Play): Promise<void> => {
  const before = await liveVersion(stage, play)
  await rollBack(stage, play)
  const after = await liveVersion(stage, play)
  assert.notEqual(after, before)
  await untilServedEverywhere(stage, play, after)
  await deployVersion(stage, play, before)
  await untilServedEverywhere(stage, play, before)
}
