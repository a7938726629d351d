import { generateKeyPairSync, sign } from 'node:crypto'
import { keyIdOf, type Signer } from '../dsse.ts'

/** An Ed25519 key in memory, for tests that sign. */
export const memorySigner = (): Signer & { readonly pem: string; readonly id: string } => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  return { pem, id: keyIdOf(pem), publicKey: async () => pem, sign: async (message) => sign(null, message, privateKey) }
}
