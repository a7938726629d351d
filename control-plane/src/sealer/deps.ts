import type { Clock } from '@berth/shared/clock'
import type { Signer } from '@berth/shared/dsse'
import type { Keys } from '@berth/shared/keys/keys'
import type { Objects } from '@berth/shared/objects/objects'
import type { Db } from '../platform/database.ts'
import type { ReachCheckpoint } from './checkpoints.ts'
import type { ContentKeys } from './content-keys.ts'

export type SealLimits = { readonly filesMax: number; readonly bytesMax: number }

/** What each of the sealer's tasks works with. */
export type SealerContext = {
  readonly db: Db
  readonly objects: Objects
  readonly keys: Keys
  readonly signer: Signer
  readonly contentKeys: ContentKeys
  readonly limits: SealLimits
  /** Of the servers that versions run on; builds of others are not chosen. */
  readonly platform: string
  readonly clock: Clock
  readonly reach: ReachCheckpoint
}
