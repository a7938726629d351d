import type { EncryptionContext } from './keys/keys.ts'
import { Refusal } from './refusal.ts'

/**
 * Small sealed things (manifests, packages, keys, diagnostics) are messages of the AWS Encryption SDK, format 2:
 * AES-256-GCM with HKDF-SHA-512 and key commitment, no signature. Other languages open them with the same SDK:
 * raw AES keyring (`berth`, `data-key`) or raw RSA keyring (`berth`, `key-pair`, OAEP with SHA-256).
 */
const keyNamespace = 'berth'
const frameLength = 64 * 1024

/** Seals under a 32-byte key. */
export const sealWithKey = async (key: Uint8Array, context: EncryptionContext, bytes: Uint8Array): Promise<Buffer> =>
  seal(await aesKeyring(key), context, bytes)

/** Opens what `sealWithKey` sealed, under the very same context only. Refuses with `bad_seal`. */
export const openWithKey = async (key: Uint8Array, context: EncryptionContext, bytes: Uint8Array): Promise<Buffer> =>
  open(await aesKeyring(key), context, bytes)

/** Seals so that only the holder of the pair's private half can open. `publicKeyPem` is an RSA key, SPKI. */
export const sealToPublicKey = async (publicKeyPem: string, context: EncryptionContext, bytes: Uint8Array): Promise<Buffer> =>
  seal(await rsaKeyring({ publicKey: publicKeyPem }), context, bytes)

/** Opens what `sealToPublicKey` sealed, under the very same context only. `privateKey` is PKCS#8 DER. Refuses with `bad_seal`. */
export const openWithPrivateKey = async (
  privateKey: Uint8Array,
  context: EncryptionContext,
  bytes: Uint8Array
): Promise<Buffer> => open(await rsaKeyring({ privateKey: pemOf(privateKey) }), context, bytes)

/** Loaded when first needed: a command that seals nothing does not pay for it. */
const sdk = async () => {
  const [materials, encrypt, decrypt] = await Promise.all([
    import('@aws-crypto/material-management-node'),
    import('@aws-crypto/encrypt-node'),
    import('@aws-crypto/decrypt-node')
  ])
  const commitmentPolicy = materials.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
  return {
    suite: materials.AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
    encrypt: encrypt.buildEncrypt({ commitmentPolicy, maxEncryptedDataKeys: 1 }).encrypt,
    decrypt: decrypt.buildDecrypt({ commitmentPolicy, maxEncryptedDataKeys: 1 }).decrypt
  }
}

type Keyring = Parameters<Awaited<ReturnType<typeof sdk>>['encrypt']>[0]

const aesKeyring = async (key: Uint8Array): Promise<Keyring> => {
  if (key.length !== 32) throw new RangeError('a data key has 32 bytes')
  const { RawAesKeyringNode, RawAesWrappingSuiteIdentifier } = await import('@aws-crypto/raw-aes-keyring-node')
  // The keyring insists on a buffer of its own (it zeroes what it was given).
  const unencryptedMasterKey = new Uint8Array(key)
  const wrappingSuite = RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING
  return new RawAesKeyringNode({ keyNamespace, keyName: 'data-key', unencryptedMasterKey, wrappingSuite })
}

const rsaKeyring = async (rsaKey: { readonly publicKey: string } | { readonly privateKey: string }): Promise<Keyring> => {
  const { RawRsaKeyringNode } = await import('@aws-crypto/raw-rsa-keyring-node')
  return new RawRsaKeyringNode({ keyNamespace, keyName: 'key-pair', rsaKey, oaepHash: 'sha256' })
}

const pemOf = (pkcs8Der: Uint8Array): string =>
  `-----BEGIN PRIVATE KEY-----\n${Buffer.from(pkcs8Der)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')
    .trimEnd()}\n-----END PRIVATE KEY-----\n`

const seal = async (keyring: Keyring, context: EncryptionContext, bytes: Uint8Array): Promise<Buffer> => {
  if (Object.keys(context).length === 0) throw new RangeError('what is sealed says what it is for: the context is empty')
  const { encrypt, suite } = await sdk()
  const options = { suiteId: suite, encryptionContext: { ...context }, frameLength, plaintextLength: bytes.length }
  return (await encrypt(keyring, Buffer.from(bytes), options)).result
}

/** The SDK authenticates the context that a message brings; whether it is the expected one, only we can say, before a byte goes out. */
const open = async (keyring: Keyring, expected: EncryptionContext, bytes: Uint8Array): Promise<Buffer> => {
  const { decrypt } = await sdk()
  const opened = await decrypt(keyring, Buffer.from(bytes)).catch((cause) => {
    throw new Refusal('bad_seal', `what was sealed as ${expected.purpose} does not open: another key, or altered bytes`, {
      cause
    })
  })
  const found = opened.messageHeader.encryptionContext
  const same =
    Object.keys(found).length === Object.keys(expected).length &&
    Object.entries(expected).every(([name, value]) => Object.hasOwn(found, name) && found[name] === value)
  if (!same) throw new Refusal('bad_seal', `what was opened as ${expected.purpose} was sealed for something else`)
  return opened.plaintext
}
