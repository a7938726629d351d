import { randomBytes } from 'node:crypto'
import type { EncryptionContext, Keys } from '@berth/shared/keys/keys'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { isObjectsError, type Objects } from '@berth/shared/objects/objects'
import { jsonParser } from '@berth/shared/parse'
import { Refusal } from '@berth/shared/refusal'
import { fleetKeyContext } from '@berth/shared/release'
import { openWithKey, sealToPublicKey, sealWithKey } from '@berth/shared/sealed'
import { Type } from 'typebox'

/** The key of the key service under which subscriptions' keys are wrapped. */
const wrappingKey = 'subscriptions'
const pairs = ['intake', 'reading'] as const

const KeyPairFile = Type.Object(
  { publicKey: Type.String({ maxLength: 4096 }), wrapped: Type.String({ maxLength: 16_384 }) },
  { additionalProperties: false }
)
const parseKeyPair = jsonParser(KeyPairFile, 'a key pair in the object store', 'bad_key_pair')

export type SealerKeysDeps = { readonly objects: Objects; readonly keys: Keys }

/**
 * Keys of subscriptions and fleets as the sealer uses them. What was opened once stays in memory: one call to the key service for
 * each subscription in use.
 */
export const makeSealerKeys = ({ objects, keys }: SealerKeysDeps) => {
  const opened = new Map<string, Promise<Uint8Array>>()

  /** The subscription's `content` key, under which everything of it in the vault lies. */
  const contentKey = (subscription: string): Promise<Uint8Array> => {
    const known = opened.get(subscription)
    if (known) return known
    const opening = openContentKey(subscription).catch((error: unknown) => {
      opened.delete(subscription)
      throw error
    })
    opened.set(subscription, opening)
    return opening
  }

  const openContentKey = async (subscription: string): Promise<Uint8Array> => {
    const wrapped = await getBytes(objects, layout.contentKey(subscription))
    if (!wrapped) throw new Refusal('no_keys', `the keys of subscription ${subscription} are not made yet`)
    return keys.unwrap(wrappingKey, wrapped, contextOf('content', subscription))
  }

  return {
    contentKey,

    /** Makes the subscription's keys where they are missing; what is there is kept, whoever made it. */
    makeSubscriptionKeys: async (subscription: string): Promise<void> => {
      if (!(await objects.head(layout.contentKey(subscription)))) {
        const { wrapped } = await keys.dataKey(wrappingKey, contextOf('content', subscription))
        await putOnce(objects, layout.contentKey(subscription), wrapped)
      }
      for (const pair of pairs) {
        if (await objects.head(layout.keyPair(subscription, pair))) continue
        const { publicKey, wrapped } = await keys.keyPair(wrappingKey, contextOf(pair, subscription))
        const file = JSON.stringify({ publicKey, wrapped: Buffer.from(wrapped).toString('base64') })
        await putOnce(objects, layout.keyPair(subscription, pair), Buffer.from(file))
      }
    },

    /** The public half that the subscription's servers seal logs and probe answers to. */
    readingKey: async (subscription: string): Promise<string> =>
      parseKeyPair(await getExisting(objects, layout.keyPair(subscription, 'reading'))).publicKey,

    /**
     * The (fleet, subscription) key. A new one is kept under `content` first and sealed to the fleet second, so that what a server
     * is given can always be opened again here.
     */
    fleetSubscriptionKey: async (fleet: string, subscription: string): Promise<Uint8Array> => {
      const content = await contentKey(subscription)
      const context = fleetKeyContext(fleet, subscription)
      const kept = layout.fleetSubscriptionKey(subscription, fleet)
      await putOnce(objects, kept, async () => sealWithKey(content, context, randomBytes(32)))
      const key = await openWithKey(content, context, await getExisting(objects, kept))
      await putOnce(objects, layout.fleetSealedKey(fleet, subscription), async () =>
        sealToPublicKey(parseKeyPair(await getExisting(objects, layout.fleetKey(fleet))).publicKey, context, key)
      )
      return key
    }
  }
}
export type SealerKeys = ReturnType<typeof makeSealerKeys>

const contextOf = (purpose: string, subscription: string): EncryptionContext => ({ purpose, subscription })

const getExisting = async (objects: Objects, key: string): Promise<Buffer> => {
  const bytes = await getBytes(objects, key)
  if (!bytes) throw new Refusal('missing_object', `${key} is not in the object store`)
  return bytes
}

/** Puts an object that must never change: the first one stays. */
const putOnce = async (objects: Objects, key: string, bytes: Uint8Array | (() => Promise<Uint8Array>)): Promise<void> => {
  if (await objects.head(key)) return
  try {
    await objects.put(key, typeof bytes === 'function' ? await bytes() : bytes, { condition: { ifNoneMatch: '*' } })
  } catch (error) {
    if (!isObjectsError(error, 'precondition_failed') && !isObjectsError(error, 'conflict')) throw error
  }
}
