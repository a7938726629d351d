import { CreateKeyCommand, DisableKeyCommand, KMSClient } from '@aws-sdk/client-kms'
import { contractKeys, keysContract } from '@berth/shared/keys/contract'
import { kmsKeys } from '@berth/shared/keys/kms'
import { startMoto } from './moto.ts'

const clientOf = (endpoint: string): KMSClient =>
  new KMSClient({ endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })

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
  {}
)
