import type { Signer } from '@berth/shared/dsse'
import type { Keys } from '@berth/shared/keys/keys'

/** The names of the signing keys of a cell, one purpose each. */
export const signingKeys = {
  roots: ['sign-root-1', 'sign-root-2', 'sign-root-3'],
  writer: 'sign-writer',
  sealer: 'sign-sealer',
  vendor: 'sign-vendor'
} as const

/** Signs with a key of the key service; its public half is asked for once. */
export const signerOf = (keys: Keys, name: string): Signer => {
  let publicKey: Promise<string> | undefined
  return {
    publicKey: () => {
      publicKey ??= keys.publicKey(name).catch((error: unknown) => {
        publicKey = undefined
        throw error
      })
      return publicKey
    },
    sign: (message) => keys.sign(name, message)
  }
}
