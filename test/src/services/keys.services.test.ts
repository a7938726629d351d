import { CreateKeyCommand, DisableKeyCommand, KMSClient } from '@aws-sdk/client-kms'
import { contractKeys, keysContract } from '@berth/shared/keys/contract'
import { kmsKeys } from '@berth/shared/keys/kms'
import { startMoto } from './moto.ts'

const clientOf = (endpoint: string): KMSClient =>
  new KMSClient({ endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })

const noEd25519 = 'moto has no Ed25519'
const missing = '00000000-0000-4000-8000-000000000000'

keysContract(
  'KMS (moto)',
  async () => {
    const moto = await startMoto()
    const client = clientOf(moto.endpoint)
    const ids = new Map<string, string>()
    const keyIdOf = (name: string): string => ids.get(name) ?? missing
    for (const name of contractKeys.wrap) {
      const answer = await client.send(new CreateKeyCommand({ KeySpec: 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT' }))
      ids.set(name, answer.KeyMetadata?.KeyId ?? missing)
    }
    for (const name of contractKeys.sign) {
      const answer = await client.send(new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }))
      ids.set(name, answer.KeyMetadata?.KeyId ?? missing)
    }
    return {
      keys: kmsKeys({ client, keyIdOf }),
      reopen: async () => kmsKeys({ client: clientOf(moto.endpoint), keyIdOf }),
      disable: async (name) => {
        await client.send(new DisableKeyCommand({ KeyId: keyIdOf(name) }))
      },
      close: async () => {
        client.destroy()
        await moto.stop()
      }
    }
  },
  {
    'opens nothing with another key': 'moto answers AccessDeniedException, where KMS documents IncorrectKeyException',
    'makes an RSA-3072 pair whose private half opens only with its context': 'moto has no GenerateDataKeyPairWithoutPlaintext',
    'signs with Ed25519 so that everybody can verify by the public key alone': noEd25519,
    'verifies what this key signed, and nothing else': noEd25519,
    'signs 4,096 bytes': noEd25519,
    'never signs with a key that wraps': 'moto answers ValidationException, where KMS documents InvalidKeyUsageException',
    'never wraps with a key that signs': 'moto makes data keys with keys that sign',
    'makes no data key with a disabled key': 'moto uses disabled keys',
    'opens nothing with a disabled key': 'moto uses disabled keys',
    'signs nothing with a disabled key': noEd25519
  }
)
