import { createPublicKey } from 'node:crypto'
import {
  DecryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GetPublicKeyCommand,
  type KMSClient,
  KMSServiceException,
  SignCommand,
  VerifyCommand
} from '@aws-sdk/client-kms'
import { checkContext, checkMessage, keysError } from './check.ts'
import { type Keys, KeysError } from './keys.ts'

/** The key service as AWS KMS. The key is named in every call, also where KMS would find it by itself: another one must not open. */
export const kmsKeys = (o: { readonly client: KMSClient; readonly keyIdOf: (name: string) => string }): Keys => ({
  dataKey: (key, context) =>
    asked(key, async () => {
      checkContext(key, context)
      const answer = await o.client.send(
        new GenerateDataKeyCommand({ KeyId: o.keyIdOf(key), KeySpec: 'AES_256', EncryptionContext: context })
      )
      return { plaintext: held(key, answer.Plaintext), wrapped: held(key, answer.CiphertextBlob) }
    }),
  keyPair: (key, context) =>
    asked(key, async () => {
      checkContext(key, context)
      const answer = await o.client.send(
        new GenerateDataKeyPairWithoutPlaintextCommand({
          KeyId: o.keyIdOf(key),
          KeyPairSpec: 'RSA_3072',
          EncryptionContext: context
        })
      )
      return { publicKey: pemOf(held(key, answer.PublicKey)), wrapped: held(key, answer.PrivateKeyCiphertextBlob) }
    }),
  unwrap: (key, wrapped, context) =>
    asked(key, async () => {
      checkContext(key, context)
      const answer = await o.client.send(
        new DecryptCommand({ KeyId: o.keyIdOf(key), CiphertextBlob: wrapped, EncryptionContext: context })
      )
      return held(key, answer.Plaintext)
    }),
  sign: (key, message) =>
    asked(key, async () => {
      checkMessage(key, message)
      const answer = await o.client.send(new SignCommand({ KeyId: o.keyIdOf(key), Message: message, ...ed25519 }))
      return held(key, answer.Signature)
    }),
  verify: (key, message, signature) =>
    asked(key, async () => {
      checkMessage(key, message)
      try {
        const command = new VerifyCommand({ KeyId: o.keyIdOf(key), Message: message, Signature: signature, ...ed25519 })
        return (await o.client.send(command)).SignatureValid === true
      } catch (error) {
        if (error instanceof KMSServiceException && error.name === 'KMSInvalidSignatureException') return false
        throw error
      }
    }),
  publicKey: (key) =>
    asked(key, async () => {
      const answer = await o.client.send(new GetPublicKeyCommand({ KeyId: o.keyIdOf(key) }))
      if (answer.KeyUsage !== 'SIGN_VERIFY') throw keysError('wrong_purpose', key)
      return pemOf(held(key, answer.PublicKey))
    })
})

// Ed25519 proper takes the message itself; with DIGEST it would be another algorithm, Ed25519ph.
const ed25519 = { MessageType: 'RAW', SigningAlgorithm: 'ED25519_SHA_512' } as const

const codeByName = {
  NotFoundException: 'missing',
  DisabledException: 'disabled',
  KMSInvalidStateException: 'disabled',
  InvalidKeyUsageException: 'wrong_purpose',
  UnsupportedOperationException: 'wrong_purpose',
  InvalidCiphertextException: 'wrong_context',
  IncorrectKeyException: 'wrong_context'
} as const

const isKnown = (name: string): name is keyof typeof codeByName => Object.hasOwn(codeByName, name)

const asked = async <T>(key: string, call: () => Promise<T>): Promise<T> => {
  try {
    return await call()
  } catch (error) {
    if (error instanceof KeysError) throw error
    const name = error instanceof KMSServiceException ? error.name : ''
    if (isKnown(name)) throw keysError(codeByName[name], key, error)
    if (name === 'AccessDeniedException') throw new KeysError('refused', `${key}: the key service refuses this to us`, error)
    throw new KeysError('unavailable', `${key}: the key service did not answer well; try again`, error)
  }
}

const held = (key: string, bytes: Uint8Array | undefined): Uint8Array => {
  if (!bytes) throw new KeysError('unavailable', `${key}: the key service answered without what it was asked for`)
  return bytes
}

const pemOf = (der: Uint8Array): string =>
  createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' })
    .export({ format: 'pem', type: 'spki' })
    .toString()
