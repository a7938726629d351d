/** Where a sealer can be stopped in the tests: after each of these everything must be taken up again by the next one. */
export type Checkpoint =
  | 'content-key-put'
  | 'key-pairs-put'
  | 'pack-put'
  | 'upload-verified'
  | 'number-reserved'
  | 'manifest-put'
  | 'manifest-signed'
  | 'version-committed'
  | 'upload-refused'
  | 'site-placed'
  | 'fleet-key-sealed'
  | 'packs-copied'
  | 'package-put'
  | 'release-committed'

export type ReachCheckpoint = (checkpoint: Checkpoint) => Promise<void>
