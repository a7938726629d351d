import { type Envelope, parseEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'
import { openFirstRoot, type Root } from '@berth/shared/trust'

const rootBytesMax = 64 * 1024

/** The root with this number, checked against its own threshold; nothing when there is none. */
export const findRoot = async (
  objects: Objects,
  number: number
): Promise<{ readonly root: Root; readonly envelope: Envelope } | undefined> => {
  const bytes = await getBytes(objects, layout.root(number), { bytesMax: rootBytesMax })
  if (!bytes) return undefined
  const envelope = parseEnvelope(bytes)
  const root = openFirstRoot(envelope)
  if (root.number !== number)
    throw new Refusal('bad_root', `the root stored as number ${number} says that it is number ${root.number}`)
  return { root, envelope }
}

/** All roots of this cell, the first one first. */
export const readRoots = async (
  objects: Objects
): Promise<readonly [{ root: Root; envelope: Envelope }, ...{ root: Root; envelope: Envelope }[]]> => {
  const first = await findRoot(objects, 1)
  if (!first) throw new Refusal('no_root', 'no root of trust is in the object store yet')
  const rest = []
  for (let next = await findRoot(objects, 2); next; next = await findRoot(objects, next.root.number + 1)) rest.push(next)
  return [first, ...rest]
}
