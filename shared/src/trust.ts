import { type Static, Type } from 'typebox'
import { type Envelope, type PayloadKind, parseEnvelope, type Signer, signEnvelope, verifyEnvelope } from './dsse.ts'
import { jsonParser } from './parse.ts'
import { Refusal } from './refusal.ts'

/** The roles that a root delegates, and the kinds of statement that each may sign. */
export const roles = {
  writer: ['head'],
  sealer: ['manifest', 'package'],
  vendor: ['build']
} as const satisfies Record<string, readonly PayloadKind[]>
export type Role = keyof typeof roles

const roleOfKind = {
  root: undefined,
  head: 'writer',
  manifest: 'sealer',
  package: 'sealer',
  build: 'vendor'
} as const satisfies Record<PayloadKind, Role | undefined>

const KeyId = Type.String({ pattern: '^[0-9a-f]{64}$' })
const RoleKeys = Type.Object(
  { keys: Type.Array(KeyId, { minItems: 1, maxItems: 8 }), threshold: Type.Integer({ minimum: 1, maximum: 8 }) },
  { additionalProperties: false }
)

/** A root of trust, after TUF: which keys there are and who may sign what, until when. */
export const Root = Type.Object(
  {
    format: Type.Literal(1),
    number: Type.Integer({ minimum: 1 }),
    expires: Type.String({ format: 'date-time' }),
    /** Key id → SPKI PEM (Ed25519). */
    keys: Type.Record(Type.String({ pattern: '^[0-9a-f]{64}$' }), Type.String({ maxLength: 512 }), {
      additionalProperties: false
    }),
    root: RoleKeys,
    writer: RoleKeys,
    sealer: RoleKeys,
    vendor: RoleKeys
  },
  { additionalProperties: false }
)
export type Root = Static<typeof Root>

const parseRoot = jsonParser(Root, 'a root of trust', 'bad_root')

/** Signs a root with its own root keys (and, when it follows another, with that one's too: pass both). */
export const signRoot = (root: Root, signers: readonly Signer[]): Promise<Envelope> => signEnvelope('root', root, signers)

/** The first root, which a server is born with: it must be signed by the threshold of its own root keys. */
export const openFirstRoot = (envelope: Envelope): Root => {
  const claimed = parseRoot(Buffer.from(envelope.payload, 'base64'))
  return parseRoot(verifyEnvelope(envelope, 'root', keysOf(claimed, claimed.root.keys), claimed.root.threshold))
}

/** Verifies any statement but a root: signed by the role that this root delegates its kind to. Expiry is the caller's business. */
export const verifyStatement = (root: Root, envelope: Envelope, kind: Exclude<PayloadKind, 'root'>): Uint8Array => {
  const role = root[roleOfKind[kind]]
  return verifyEnvelope(envelope, kind, keysOf(root, role.keys), role.threshold)
}

/** Whether `root` has expired at `now`: an expired root blocks change, never service. */
export const isExpired = (root: Root, now: Date): boolean => Date.parse(root.expires) <= now.getTime()

const keysOf = (root: Root, ids: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    ids.map((id) => {
      const pem = root.keys[id]
      if (pem === undefined) throw new Refusal('bad_root', `root ${root.number} names the key ${id} and does not hold it`)
      return [id, pem]
    })
  )

/** Opens and checks a statement in one go: parse the envelope, verify the signature by role, answer the payload's bytes. */
export const openStatement = (root: Root, text: string | Uint8Array, kind: Exclude<PayloadKind, 'root'>): Uint8Array =>
  verifyStatement(root, parseEnvelope(text), kind)
