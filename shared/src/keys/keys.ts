/** Names what a ciphertext is for; opening demands the very same pairs. Never secret. */
export type EncryptionContext = Readonly<Record<string, string>>

/** One purpose a key: a key that wraps never signs. */
export type KeyPurpose = 'wrap' | 'sign'

/**
 * The door to the key service. A key is named (`uploads`, `subscriptions`, `fleet-<id>`, `sign-writer` …), never passed.
 * Failures are `KeysError`s. `context` must not be empty for keys that wrap.
 */
export type Keys = {
  /** A fresh 32-byte data key: in the clear for now, wrapped for later. */
  readonly dataKey: (
    key: string,
    context: EncryptionContext
  ) => Promise<{ readonly plaintext: Uint8Array; readonly wrapped: Uint8Array }>
  /** A fresh RSA-3072 pair whose private half (PKCS#8 DER) nobody sees until `unwrap`. `publicKey` is SPKI PEM. */
  readonly keyPair: (
    key: string,
    context: EncryptionContext
  ) => Promise<{ readonly publicKey: string; readonly wrapped: Uint8Array }>
  /** Opens what `dataKey` (32 bytes) or `keyPair` (PKCS#8 DER) wrapped, under the same key and the same context only. */
  readonly unwrap: (key: string, wrapped: Uint8Array, context: EncryptionContext) => Promise<Uint8Array>
  /** Ed25519 over at most 4,096 bytes. */
  readonly sign: (key: string, message: Uint8Array) => Promise<Uint8Array>
  readonly verify: (key: string, message: Uint8Array, signature: Uint8Array) => Promise<boolean>
  /** SPKI PEM of a key that signs. */
  readonly publicKey: (key: string) => Promise<string>
}

export type KeysErrorCode = 'missing' | 'disabled' | 'wrong_purpose' | 'wrong_context' | 'refused' | 'unavailable'

export class KeysError extends Error {
  readonly code: KeysErrorCode

  constructor(code: KeysErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'KeysError'
    this.code = code
  }
}
