import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { sha256Hex } from '@berth/shared/canonical'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'

const objectBytesMax = 4 * 1024 * 1024
const snapshotBytesMax = 64 * 1024 * 1024
const decompress = promisify(zstdDecompress)

/** One object of desired state from the store, proved to be what its digest names. Refuses with `bad_body`. */
export const fetchDesired = async (objects: Objects, fleet: string, digest: string): Promise<string> => {
  const text = await fetchText(objects, layout.desired(fleet, digest), objectBytesMax)
  if (text === undefined) throw new Refusal('bad_body', `the store holds no object ${digest} of desired state`)
  if (sha256Hex(text) !== digest) throw new Refusal('bad_body', `the object ${digest} of desired state holds other bytes`)
  return text
}

/** All sites of an index by digest, for a server that holds none. What the snapshot lacks is fetched one by one. */
export const fetchSnapshot = async (objects: Objects, fleet: string, index: string): Promise<ReadonlyMap<string, string>> => {
  const text = await fetchText(objects, layout.snapshot(fleet, index), snapshotBytesMax)
  return new Map((text ?? '').split('\n').flatMap((line) => (line === '' ? [] : [[sha256Hex(line), line] as const])))
}

const fetchText = async (objects: Objects, key: string, maxOutputLength: number): Promise<string | undefined> => {
  const bytes = await getBytes(objects, key, { bytesMax: maxOutputLength })
  if (!bytes) return undefined
  try {
    return (await decompress(bytes, { maxOutputLength })).toString('utf8')
  } catch (cause) {
    throw new Refusal('bad_body', `${key} is not what a writer stores: it does not decompress`, { cause })
  }
}
