import type { Keys } from '@berth/shared/keys/keys'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'

/** The key of the key service that wraps every subscription's keys, and what binds each of them to its purpose. */
export const subscriptionsKey = 'subscriptions'
export const contentContext = (subscription: string) => ({ purpose: 'content', subscription })
export const pairContext = (pair: 'intake' | 'reading', subscription: string) => ({ purpose: pair, subscription })

/** A subscription's data key in the clear: one call to the key service per subscription in use. */
export type ContentKeys = { readonly get: (subscription: string) => Promise<Uint8Array> }

const keptMax = 1000

export const makeContentKeys = ({ objects, keys }: { readonly objects: Objects; readonly keys: Keys }): ContentKeys => {
  const kept = new Map<string, Promise<Uint8Array>>()
  const open = async (subscription: string): Promise<Uint8Array> => {
    const wrapped = await getBytes(objects, layout.contentKey(subscription))
    if (!wrapped) throw new Refusal('no_content_key', `subscription ${subscription} has no content key yet`)
    return keys.unwrap(subscriptionsKey, wrapped, contentContext(subscription))
  }
  return {
    get: (subscription) => {
      const known = kept.get(subscription)
      if (known) return known
      const [oldest] = kept.keys()
      if (oldest !== undefined && kept.size >= keptMax) kept.delete(oldest)
      const opened = open(subscription)
      kept.set(subscription, opened)
      opened.catch(() => kept.delete(subscription))
      return opened
    }
  }
}
