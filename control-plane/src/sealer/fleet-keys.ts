import { randomBytes } from 'node:crypto'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { jsonParser } from '@berth/shared/parse'
import { Refusal } from '@berth/shared/refusal'
import { fleetKeyContext } from '@berth/shared/release'
import { openWithKey, sealToPublicKey, sealWithKey } from '@berth/shared/sealed'
import { Type } from 'typebox'
import { putOnce } from '../platform/put-once.ts'
import type { SealerContext } from './deps.ts'

/** A pair as it lies in the store: the private half wrapped, in base64. */
export const parseStoredPair = jsonParser(
  Type.Object({ publicKey: Type.String({ maxLength: 2048 }), wrapped: Type.String() }, { additionalProperties: false }),
  'a stored key pair',
  'bad_key'
)

/**
 * Opens the data key of a subscription in a fleet, or makes it: sealed under `content` for us, and to the fleet's public key for
 * its servers. Ours is put first, so that whoever is stopped in between finds the same key again.
 */
export const openFleetKey = async (
  { objects, contentKeys, reach }: Pick<SealerContext, 'objects' | 'contentKeys' | 'reach'>,
  fleet: string,
  subscription: string
): Promise<Uint8Array> => {
  const contentKey = await contentKeys.get(subscription)
  const context = fleetKeyContext(fleet, subscription)
  const ours = layout.fleetSubscriptionKey(subscription, fleet)
  const [found, forServers] = await Promise.all([
    getBytes(objects, ours),
    objects.head(layout.fleetSealedKey(fleet, subscription))
  ])
  if (found && forServers) return openWithKey(contentKey, context, found)

  const pair = await getBytes(objects, layout.fleetKey(fleet))
  if (!pair) throw new Refusal('unavailable', `fleet ${fleet} has no key pair yet`)
  if (!found) await putOnce(objects, ours, await sealWithKey(contentKey, context, randomBytes(32)))
  await reach('fleet-key-sealed')
  const stored = await getBytes(objects, ours)
  if (!stored) throw new Error(`the key of subscription ${subscription} in fleet ${fleet} was put and is not there`)
  const key = await openWithKey(contentKey, context, stored)
  const { publicKey } = parseStoredPair(pair)
  await objects.put(layout.fleetSealedKey(fleet, subscription), await sealToPublicKey(publicKey, context, key))
  return key
}
