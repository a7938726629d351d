import { type Keys, KeysError } from './keys.ts'

/** What a handle may do, by the names of keys; a name that ends in `*` stands for all that begin so. */
type KeysAllowed = {
  /** Make data keys and key pairs. */
  readonly wrap?: readonly string[]
  readonly unwrap?: readonly string[]
  readonly sign?: readonly string[]
}

/** A service's handle on the same keys: it may do only what is listed. Verifying and public keys are everybody's. */
export const restrictedKeys = (keys: Keys, may: KeysAllowed): Keys => {
  const check = (act: keyof KeysAllowed, key: string): void => {
    if (!(may[act] ?? []).some((entry) => (entry.endsWith('*') ? key.startsWith(entry.slice(0, -1)) : key === entry)))
      throw new KeysError('refused', `this handle on the keys may not ${act} with ${key}`)
  }
  return {
    dataKey: async (key, context) => {
      check('wrap', key)
      return keys.dataKey(key, context)
    },
    keyPair: async (key, context) => {
      check('wrap', key)
      return keys.keyPair(key, context)
    },
    unwrap: async (key, wrapped, context) => {
      check('unwrap', key)
      return keys.unwrap(key, wrapped, context)
    },
    sign: async (key, message) => {
      check('sign', key)
      return keys.sign(key, message)
    },
    verify: keys.verify,
    publicKey: keys.publicKey
  }
}
