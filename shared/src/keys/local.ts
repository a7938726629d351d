import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  randomUUID,
  sign,
  verify
} from 'node:crypto'
import { link, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Static, Type } from 'typebox'
import { canonicalJson } from '../canonical.ts'
import { writeFileAtomic } from '../files.ts'
import { jsonParser } from '../parse.ts'
import { Refusal } from '../refusal.ts'
import { checkContext, checkMessage, keysError } from './check.ts'
import { type EncryptionContext, type KeyPurpose, type Keys, KeysError } from './keys.ts'

const KeyFile = Type.Object(
  {
    format: Type.Literal(1),
    name: Type.String(),
    purpose: Type.Union([Type.Literal('wrap'), Type.Literal('sign')]),
    enabled: Type.Boolean(),
    /** Base64: 32 bytes of a key that wraps, PKCS#8 DER of one that signs. */
    secret: Type.String()
  },
  { additionalProperties: false }
)
type KeyFile = Static<typeof KeyFile>
const parseKeyFile = jsonParser(KeyFile, 'a key file', 'bad_key_file')

const suffix = '.key.json'
const generatePair = promisify(generateKeyPair)

/**
 * The key service as a folder of files that only their owner may read. Files are read at each use, so that a key that is made or
 * disabled later, by another process too, is found so. Refuses to start when others may read the folder or a key in it.
 */
export const localKeys = async ({ folder }: { readonly folder: string }): Promise<Keys> => {
  await checkPrivate(folder)
  for (const name of await readdir(folder)) if (name.endsWith(suffix)) await checkPrivate(join(folder, name))

  const wrapSealed = async (key: string, context: EncryptionContext, make: () => Promise<Uint8Array>): Promise<Uint8Array> => {
    checkContext(key, context)
    return wrap(await usableKey(folder, key, 'wrap'), context, await make())
  }
  const signingKey = async (key: string): Promise<KeyObject> =>
    createPrivateKey({ key: secretOf(await usableKey(folder, key, 'sign')), format: 'der', type: 'pkcs8' })

  return {
    dataKey: async (key, context) => {
      const plaintext = randomBytes(32)
      return { plaintext, wrapped: await wrapSealed(key, context, async () => plaintext) }
    },
    keyPair: async (key, context) => {
      let publicKey = ''
      const wrapped = await wrapSealed(key, context, async () => {
        const pair = await generatePair('rsa', { modulusLength: 3072 })
        publicKey = pemOf(pair.publicKey)
        return pair.privateKey.export({ format: 'der', type: 'pkcs8' })
      })
      return { publicKey, wrapped }
    },
    unwrap: async (key, wrapped, context) => {
      checkContext(key, context)
      return unwrap(await usableKey(folder, key, 'wrap'), context, wrapped)
    },
    sign: async (key, message) => {
      checkMessage(key, message)
      return sign(null, message, await signingKey(key))
    },
    verify: async (key, message, signature) => {
      checkMessage(key, message)
      return verify(null, message, createPublicKey(await signingKey(key)), signature)
    },
    publicKey: async (key) => pemOf(createPublicKey(await signingKey(key)))
  }
}

/** Makes a key, once: a key that is there stays as it is. The folder is made when it is missing. */
export const createLocalKey = async (o: {
  readonly folder: string
  readonly name: string
  readonly purpose: KeyPurpose
}): Promise<void> => {
  await mkdir(o.folder, { recursive: true, mode: 0o700 })
  const path = pathOf(o.folder, o.name)
  const secret = o.purpose === 'wrap' ? randomBytes(32) : await newSigningSecret()
  const file: KeyFile = { format: 1, name: o.name, purpose: o.purpose, enabled: true, secret: secret.toString('base64') }
  const temporary = join(o.folder, `.${randomUUID()}.tmp`)
  try {
    await writeFileAtomic(temporary, JSON.stringify(file))
    // Unlike a rename, a link never replaces the key that another process has just made.
    await link(temporary, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    const present = await readKey(o.folder, o.name)
    if (present.purpose !== o.purpose) throw keysError('wrong_purpose', o.name)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Disables a key: from now on every use of it is refused, in every process. */
export const disableLocalKey = async ({ folder, name }: { readonly folder: string; readonly name: string }): Promise<void> => {
  const key = await readKey(folder, name)
  await writeFileAtomic(pathOf(folder, name), JSON.stringify({ ...key, enabled: false } satisfies KeyFile))
}

const newSigningSecret = async (): Promise<Buffer> =>
  (await generatePair('ed25519')).privateKey.export({ format: 'der', type: 'pkcs8' })

const usableKey = async (folder: string, name: string, purpose: KeyPurpose): Promise<KeyFile> => {
  const key = await readKey(folder, name)
  if (key.purpose !== purpose) throw keysError('wrong_purpose', name)
  if (!key.enabled) throw keysError('disabled', name)
  return key
}

const readKey = async (folder: string, name: string): Promise<KeyFile> => {
  const path = pathOf(folder, name)
  try {
    const file = await open(path, 'r')
    try {
      refuseReadable(path, (await file.stat()).mode)
      const key = parseKeyFile(await file.readFile())
      // A file system that ignores case finds the file of another key.
      if (key.name !== name) throw keysError('missing', name)
      return key
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof KeysError) throw error
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw keysError('missing', name, error)
    // The parser's own words may quote what it read, so they go no further.
    const cause = error instanceof Refusal ? undefined : error
    throw new KeysError('unavailable', `${name}: its key file ${path} cannot be read or is damaged`, cause)
  }
}

const pathOf = (folder: string, name: string): string => {
  if (!/^[A-Za-z0-9][A-Za-z0-9:_-]{0,127}$/.test(name)) throw new KeysError('refused', 'that is not the name of a key')
  return join(folder, `${name}${suffix}`)
}

const checkPrivate = async (path: string): Promise<void> => {
  try {
    refuseReadable(path, (await stat(path)).mode)
  } catch (error) {
    if (error instanceof KeysError) throw error
    throw new KeysError('unavailable', `${path} cannot be looked at; is it the folder of the keys?`, error)
  }
}

const refuseReadable = (path: string, mode: number): void => {
  if ((mode & 0o077) !== 0)
    throw new KeysError('refused', `others may read ${path}; no key is used until only its owner may (chmod go= '${path}')`)
}

const secretOf = (key: KeyFile): Buffer => Buffer.from(key.secret, 'base64')

const pemOf = (publicKey: KeyObject): string => publicKey.export({ format: 'pem', type: 'spki' }).toString()

const wrapVersion = 1
const ivBytes = 12
const tagBytes = 16

// What a wrapping is for is authenticated with it: another key, another context or another format does not open it.
const associatedData = (key: KeyFile, context: EncryptionContext): Buffer =>
  Buffer.from(canonicalJson({ version: wrapVersion, key: key.name, context }))

const wrap = (key: KeyFile, context: EncryptionContext, plaintext: Uint8Array): Buffer => {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', secretOf(key), iv).setAAD(associatedData(key, context))
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([Buffer.from([wrapVersion]), iv, cipher.getAuthTag(), ciphertext])
}

const unwrap = (key: KeyFile, context: EncryptionContext, wrapped: Uint8Array): Buffer => {
  const tagStart = 1 + ivBytes
  const start = tagStart + tagBytes
  if (wrapped[0] !== wrapVersion || wrapped.length < start) throw keysError('wrong_context', key.name)
  try {
    const decipher = createDecipheriv('aes-256-gcm', secretOf(key), wrapped.subarray(1, tagStart), { authTagLength: tagBytes })
    decipher.setAAD(associatedData(key, context)).setAuthTag(wrapped.subarray(tagStart, start))
    return Buffer.concat([decipher.update(wrapped.subarray(start)), decipher.final()])
  } catch (cause) {
    throw keysError('wrong_context', key.name, cause)
  }
}
