/** Called between steps that a crash may part. Nothing in service; tests throw from it and then look whether all comes right. */
export type Checkpoint = (name: string) => void

export const noCheckpoint: Checkpoint = () => undefined
