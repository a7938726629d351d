import { createPublicKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { KMSClient } from '@aws-sdk/client-kms'
import { contractKeys, keysContract } from './contract.ts'
import { type EncryptionContext, type Keys, KeysError } from './keys.ts'
import { kmsKeys } from './kms.ts'
import { createLocalKey, disableLocalKey, localKeys } from './local.ts'

/** What a call to KMS may carry; bytes travel as base64. */
type Call = {
  readonly KeyId: string
  readonly EncryptionContext?: EncryptionContext
  readonly KeySpec?: string
  readonly KeyPairSpec?: string
  readonly CiphertextBlob?: string
  readonly Message?: string
  readonly MessageType?: string
  readonly Signature?: string
  readonly SigningAlgorithm?: string
}

const bytesOf = (text = ''): Buffer => Buffer.from(text, 'base64')
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const derOf = (pem: string): string => textOf(createPublicKey(pem).export({ format: 'der', type: 'spki' }))

class KmsError extends Error {}

const demand = (holds: boolean): void => {
  if (!holds) throw new KmsError('ValidationException')
}

/** The calls that we make, as AWS documents them: what the emulators leave out (Ed25519, pairs, disabled keys, purposes) included. */
const answers: Readonly<Record<string, (keys: Keys, call: Call) => Promise<object>>> = {
  GenerateDataKey: async (keys, call) => {
    demand(call.KeySpec === 'AES_256')
    const { plaintext, wrapped } = await keys.dataKey(call.KeyId, call.EncryptionContext ?? {})
    return { Plaintext: textOf(plaintext), CiphertextBlob: textOf(wrapped) }
  },
  GenerateDataKeyPairWithoutPlaintext: async (keys, call) => {
    demand(call.KeyPairSpec === 'RSA_3072')
    const { publicKey, wrapped } = await keys.keyPair(call.KeyId, call.EncryptionContext ?? {})
    return { PublicKey: derOf(publicKey), PrivateKeyCiphertextBlob: textOf(wrapped) }
  },
  Decrypt: async (keys, call) => ({
    Plaintext: textOf(await keys.unwrap(call.KeyId, bytesOf(call.CiphertextBlob), call.EncryptionContext ?? {}))
  }),
  Sign: async (keys, call) => {
    demand(call.MessageType === 'RAW' && call.SigningAlgorithm === 'ED25519_SHA_512')
    return { Signature: textOf(await keys.sign(call.KeyId, bytesOf(call.Message))) }
  },
  Verify: async (keys, call) => {
    demand(call.MessageType === 'RAW' && call.SigningAlgorithm === 'ED25519_SHA_512')
    if (!(await keys.verify(call.KeyId, bytesOf(call.Message), bytesOf(call.Signature))))
      throw new KmsError('KMSInvalidSignatureException')
    return { SignatureValid: true }
  },
  GetPublicKey: async (keys, call) => ({ KeyUsage: 'SIGN_VERIFY', PublicKey: derOf(await keys.publicKey(call.KeyId)) })
}

const documentedErrors: Readonly<Record<string, string>> = {
  missing: 'NotFoundException',
  disabled: 'DisabledException',
  wrong_purpose: 'InvalidKeyUsageException',
  wrong_context: 'InvalidCiphertextException'
}

/** KMS's protocol over our own key files: real HTTP, real client, and the answers that AWS documents. */
const serveKms = async (keys: Keys) => {
  const server = createServer(async (request, response) => {
    const call = (await json(request)) as Call // the SDK's own serialization
    const action = String(request.headers['x-amz-target']).replace('TrentService.', '')
    const answer = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body))
    try {
      answer(200, (await answers[action]?.(keys, call)) ?? {})
    } catch (error) {
      const type = error instanceof KeysError ? documentedErrors[error.code] : (error as Error).message // a KmsError is named by its message
      answer(400, { __type: type ?? 'ValidationException' })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // a TCP listener always has one
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { endpoint: `http://127.0.0.1:${port}`, close }
}

keysContract('KMS (its protocol, with the answers that AWS documents)', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-kms-'))
  for (const purpose of ['wrap', 'sign'] as const)
    for (const name of contractKeys[purpose]) await createLocalKey({ folder, name, purpose })
  const server = await serveKms(await localKeys({ folder }))
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const open = () =>
    kmsKeys({
      client: new KMSClient({ endpoint: server.endpoint, region: 'us-east-1', credentials }),
      keyIdOf: (name) => name
    })
  return {
    keys: open(),
    reopen: async () => open(),
    disable: (name) => disableLocalKey({ folder, name }),
    close: async () => {
      await server.close()
      await rm(folder, { recursive: true })
    }
  }
})
