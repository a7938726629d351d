import { assertServedEverywhere, deployVersion, type Play, publishAndDeploy, rollBack, type Stage } from './stage.ts'

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

/** Changes still reach every server: `version` is live, and the one before is what a rollback leads to. */
export const assertChangesArrive = async (stage: Stage, play: Play, version: number): Promise<void> => {
  await rollBack(stage, play)
  await assertServedEverywhere(stage, play, version - 1)
  await deployVersion(stage, play, version)
  await assertServedEverywhere(stage, play, version)
}
