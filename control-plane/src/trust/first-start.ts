import type { Clock } from '@berth/shared/clock'
import { keyIdOf, type Signer } from '@berth/shared/dsse'
import type { KeyPurpose, Keys } from '@berth/shared/keys/keys'
import { layout } from '@berth/shared/layout'
import { isObjectsError, type Objects } from '@berth/shared/objects/objects'
import { type Root, signRoot } from '@berth/shared/trust'
import { findRoot } from './roots.ts'
import { signerOf, signingKeys } from './signers.ts'

/** The wrapping keys of a cell, beside its fleets' own: for upload keys, and for subscriptions' keys. */
const wrappingKeys = ['uploads', 'subscriptions'] as const

/** Two of the three root keys sign, so that one that is lost or stolen is not the end. */
const rootThreshold = 2

/**
 * A year, as long as an unattended laptop may go without a new root. Its end blocks only change: what runs goes on, and the
 * next root is made before.
 */
const rootValidMs = 365 * 86_400_000

export type FirstTrustDeps = {
  readonly objects: Objects
  readonly keys: Keys
  /** Makes a key where there is none; an existing one is kept. */
  readonly makeKey: (name: string, purpose: KeyPurpose) => Promise<void>
  readonly clock: Clock
}

/** On a laptop the cell's keys and its first root are made at first start. Safe to repeat after it was cut short at any point. */
export const makeFirstTrust = async ({ objects, keys, makeKey, clock }: FirstTrustDeps): Promise<void> => {
  const { roots, writer, sealer, vendor } = signingKeys
  for (const name of wrappingKeys) await makeKey(name, 'wrap')
  for (const name of [...roots, writer, sealer, vendor]) await makeKey(name, 'sign')
  if (await findRoot(objects, 1)) return

  const rootSigners = roots.map((name) => signerOf(keys, name))
  const root = await describeRoot(rootSigners, { writer, sealer, vendor }, keys, new Date(clock.now().getTime() + rootValidMs))
  const envelope = await signRoot(root, rootSigners.slice(0, rootThreshold))
  try {
    await objects.put(layout.root(1), Buffer.from(JSON.stringify(envelope)), { condition: { ifNoneMatch: '*' } })
  } catch (error) {
    // Another first start was quicker, with the same keys.
    if (!isObjectsError(error, 'precondition_failed') && !isObjectsError(error, 'conflict')) throw error
  }
}

const describeRoot = async (
  rootSigners: readonly Signer[],
  delegated: Readonly<Record<'writer' | 'sealer' | 'vendor', string>>,
  keys: Keys,
  expires: Date
): Promise<Root> => {
  const rootKeys = await Promise.all(rootSigners.map((signer) => signer.publicKey()))
  const [writer, sealer, vendor] = await Promise.all([
    keys.publicKey(delegated.writer),
    keys.publicKey(delegated.sealer),
    keys.publicKey(delegated.vendor)
  ])
  const one = (pem: string) => ({ keys: [keyIdOf(pem)], threshold: 1 })
  return {
    format: 1,
    number: 1,
    expires: expires.toISOString(),
    keys: Object.fromEntries([...rootKeys, writer, sealer, vendor].map((pem) => [keyIdOf(pem), pem])),
    root: { keys: rootKeys.map(keyIdOf), threshold: rootThreshold },
    writer: one(writer),
    sealer: one(sealer),
    vendor: one(vendor)
  }
}
