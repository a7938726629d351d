import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { canonicalJson } from './canonical.ts'
import { jsonParser } from './parse.ts'
import { Refusal } from './refusal.ts'

/** The most a signed payload may hold: what a key service signs in one call. Payloads hold digests, never content. */
export const payloadBytesMax = 4096

/** One payload type per kind of statement, so that a signature on one can never stand for another. */
export const payloadTypes = {
  root: 'application/vnd.berth.root.v1+json',
  head: 'application/vnd.berth.head.v1+json',
  manifest: 'application/vnd.berth.manifest.v1+json',
  package: 'application/vnd.berth.package.v1+json',
  build: 'application/vnd.berth.build.v1+json'
} as const
export type PayloadKind = keyof typeof payloadTypes

/** A DSSE envelope (github.com/secure-systems-lab/dsse, protocol 1.0.2). `keyid` is the SHA-256 of the key's SPKI DER. */
export const Envelope = Type.Object(
  {
    payloadType: Type.String({ maxLength: 128 }),
    payload: Type.String({ maxLength: 8192 }),
    signatures: Type.Array(
      Type.Object(
        { keyid: Type.String({ pattern: '^[0-9a-f]{64}$' }), sig: Type.String({ maxLength: 256 }) },
        { additionalProperties: false }
      ),
      { minItems: 1, maxItems: 16 }
    )
  },
  { additionalProperties: false }
)
export type Envelope = Static<typeof Envelope>

export const parseEnvelope = jsonParser(Envelope, 'a signed envelope', 'unsigned')

/** What a DSSE signature covers: the type and the payload, each with its length, so that neither can flow into the other. */
export const preAuthEncoding = (payloadType: string, payload: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `), payload])

/** Who can sign: a key of the `keys` door, or in tests a key in memory. */
export type Signer = { readonly publicKey: () => Promise<string>; readonly sign: (message: Uint8Array) => Promise<Uint8Array> }

/** Signs `payload` (as canonical JSON) with every signer. Refuses a payload over 4 KiB. */
export const signEnvelope = async (kind: PayloadKind, payload: unknown, signers: readonly Signer[]): Promise<Envelope> => {
  const bytes = Buffer.from(canonicalJson(payload))
  if (bytes.length > payloadBytesMax)
    throw new Refusal('payload_too_large', `a signed ${kind} has ${bytes.length} bytes; ${payloadBytesMax} is the most`)
  const message = preAuthEncoding(payloadTypes[kind], bytes)
  const signatures = await Promise.all(
    signers.map(async (signer) => ({
      keyid: keyIdOf(await signer.publicKey()),
      sig: Buffer.from(await signer.sign(message)).toString('base64')
    }))
  )
  return { payloadType: payloadTypes[kind], payload: bytes.toString('base64'), signatures }
}

/** The name of a public key (SPKI PEM): SHA-256 of its DER, in hex. */
export const keyIdOf = (publicKeyPem: string): string =>
  createHash('sha256')
    .update(createPublicKey(publicKeyPem).export({ type: 'spki', format: 'der' }))
    .digest('hex')

/**
 * Answers the payload's bytes if at least `threshold` different ones of `keys` (key id → SPKI PEM) signed this kind.
 * Refuses with `wrong_role` for another kind and with `unsigned` when signatures are missing or bad.
 */
export const verifyEnvelope = (
  envelope: Envelope,
  kind: PayloadKind,
  keys: Readonly<Record<string, string>>,
  threshold = 1
): Uint8Array => {
  if (envelope.payloadType !== payloadTypes[kind])
    throw new Refusal('wrong_role', `expected a signed ${kind}, found ${envelope.payloadType}`)
  const payload = Buffer.from(envelope.payload, 'base64')
  const message = preAuthEncoding(envelope.payloadType, payload)
  const good = new Set(
    envelope.signatures
      .filter(({ keyid, sig }) => {
        const pem = Object.hasOwn(keys, keyid) ? keys[keyid] : undefined
        return pem !== undefined && keyIdOf(pem) === keyid && verifySignature(null, message, pem, Buffer.from(sig, 'base64'))
      })
      .map(({ keyid }) => keyid)
  )
  if (good.size < threshold)
    throw new Refusal('unsigned', `a signed ${kind} carries ${good.size} good signatures of the right keys; ${threshold} needed`)
  return payload
}
