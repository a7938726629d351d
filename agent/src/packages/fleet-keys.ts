import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '@berth/shared/files'
import type { Keys } from '@berth/shared/keys/keys'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { jsonParser } from '@berth/shared/parse'
import { Refusal } from '@berth/shared/refusal'
import { fleetKeyContext, fleetKeyName, fleetPairContext } from '@berth/shared/release'
import { openWithPrivateKey } from '@berth/shared/sealed'
import { Type } from 'typebox'

const bytesMax = 64 * 1024
const parseFleetKey = jsonParser(
  Type.Object(
    { publicKey: Type.String({ maxLength: 4096 }), wrapped: Type.String({ maxLength: 16_384 }) },
    { additionalProperties: false }
  ),
  "the fleet's key pair",
  'bad_key'
)

export type FleetKeys = Awaited<ReturnType<typeof fleetKeys>>

/**
 * Opens (fleet, subscription) keys. The fleet's private half is unwrapped once in the life of this process and only ever lies
 * in its memory; on disk everything stays as sealed as it came, so that a reboot needs the key service but not the store.
 */
export const fleetKeys = async ({
  objects,
  keys,
  fleet,
  folder
}: {
  readonly objects: Objects
  readonly keys: Keys
  readonly fleet: string
  readonly folder: string
}) => {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const opened = new Map<string, Promise<Uint8Array>>()
  let privateKey: Promise<Uint8Array> | undefined

  const unwrap = async (): Promise<Uint8Array> => {
    const pair = parseFleetKey(await readThrough(objects, layout.fleetKey(fleet), join(folder, 'fleet')))
    return keys.unwrap(fleetKeyName(fleet), Buffer.from(pair.wrapped, 'base64'), fleetPairContext(fleet))
  }
  const getPrivateKey = (): Promise<Uint8Array> => {
    privateKey ??= unwrap().catch((error) => {
      privateKey = undefined
      throw error
    })
    return privateKey
  }
  const open = async (subscription: string, isFresh: boolean): Promise<Uint8Array> => {
    const key = layout.fleetSealedKey(fleet, subscription)
    const sealed = await readThrough(objects, key, join(folder, `subscription-${subscription}`), isFresh)
    return openWithPrivateKey(await getPrivateKey(), fleetKeyContext(fleet, subscription), sealed)
  }

  return {
    /** The key that opens this subscription's packages. `isFresh` asks the store again: a key may have been made anew. */
    subscriptionKey: (subscription: string, { isFresh = false } = {}): Promise<Uint8Array> => {
      const known = isFresh ? undefined : opened.get(subscription)
      if (known) return known
      const key = open(subscription, isFresh)
      opened.set(subscription, key)
      key.catch(() => opened.delete(subscription))
      return key
    }
  }
}

/** The object's bytes from this server's disk, else from the store, which the disk then remembers. */
const readThrough = async (objects: Objects, key: string, file: string, isFresh = false): Promise<Buffer> => {
  const cached = isFresh ? undefined : await readFile(file).catch(() => undefined)
  if (cached) return cached
  const bytes = await getBytes(objects, key, { bytesMax })
  if (!bytes) throw new Refusal('missing_key', `the store holds no ${key}: nothing can be opened with it`)
  await writeFileAtomic(file, bytes)
  return bytes
}
