import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, privateDecrypt, publicEncrypt, verify } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type EncryptionContext, type Keys, KeysError, type KeysErrorCode } from './keys.ts'

/** The keys that a side has when it is handed over; there is none named `nothing`. */
export const contractKeys = {
  wrap: ['uploads', 'subscriptions', 'retiring-1', 'retiring-2'],
  sign: ['sign-writer', 'sign-sealer', 'sign-retiring']
} as const

/** One side of the door, ready to be asked. */
type KeysSide = {
  readonly keys: Keys
  /** The same keys as another process would open them. */
  readonly reopen: () => Promise<Keys>
  readonly disable: (name: string) => Promise<void>
  readonly close: () => Promise<void>
}

const context: EncryptionContext = { purpose: 'content', subscription: 's-1' }
const message = Buffer.from('a digest, usually')

const fails =
  (...codes: KeysErrorCode[]) =>
  (error: unknown): boolean =>
    error instanceof KeysError && codes.includes(error.code)

const cases = {
  'opens a data key with the very same context': async ({ keys }) => {
    const { plaintext, wrapped } = await keys.dataKey('uploads', context)

    assert.equal(plaintext.length, 32)
    assert.deepEqual(Buffer.from(await keys.unwrap('uploads', wrapped, { ...context })), Buffer.from(plaintext))
    assert.ok(!Buffer.from(wrapped).includes(Buffer.from(plaintext)))
  },

  'never gives the same data key twice': async ({ keys }) => {
    const [one, two] = [await keys.dataKey('uploads', context), await keys.dataKey('uploads', context)]

    assert.notDeepEqual(one.plaintext, two.plaintext)
    assert.notDeepEqual(one.wrapped, two.wrapped)
  },

  'opens nothing with another context, be it larger, smaller or of another value': async ({ keys }) => {
    const { wrapped } = await keys.dataKey('uploads', context)

    for (const other of [
      { ...context, subscription: 's-2' },
      { ...context, more: 'x' },
      { purpose: 'content' },
      { purpose: 's-1', subscription: 'content' }
    ])
      await assert.rejects(keys.unwrap('uploads', wrapped, other), fails('wrong_context'))
  },

  'opens nothing with another key': async ({ keys }) => {
    const { wrapped } = await keys.dataKey('uploads', context)

    await assert.rejects(keys.unwrap('subscriptions', wrapped, context), fails('wrong_context'))
  },

  'opens nothing that was changed or cut': async ({ keys }) => {
    const { wrapped } = await keys.dataKey('uploads', context)
    const changed = Buffer.from(wrapped)
    changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1)

    await assert.rejects(keys.unwrap('uploads', changed, context), fails('wrong_context'))
    await assert.rejects(keys.unwrap('uploads', wrapped.subarray(0, 20), context), fails('wrong_context'))
  },

  'refuses an empty context': async ({ keys }) => {
    const { wrapped } = await keys.dataKey('uploads', context)

    await assert.rejects(keys.dataKey('uploads', {}), fails('refused'))
    await assert.rejects(keys.keyPair('uploads', {}), fails('refused'))
    await assert.rejects(keys.unwrap('uploads', wrapped, {}), fails('refused'))
  },

  'makes an RSA-3072 pair whose private half opens only with its context': async ({ keys }) => {
    const { publicKey, wrapped } = await keys.keyPair('subscriptions', context)

    const der = Buffer.from(await keys.unwrap('subscriptions', wrapped, context))

    const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    const sealed = publicEncrypt(createPublicKey(publicKey), message)
    assert.deepEqual(privateDecrypt(privateKey, sealed), message)
    assert.equal(privateKey.asymmetricKeyDetails?.modulusLength, 3072)
    assert.match(publicKey, /^-----BEGIN PUBLIC KEY-----\n/)
    await assert.rejects(keys.unwrap('subscriptions', wrapped, { purpose: 'reading' }), fails('wrong_context'))
  },

  'signs with Ed25519 so that everybody can verify by the public key alone': async ({ keys }) => {
    const signature = await keys.sign('sign-writer', message)

    const publicKey = createPublicKey(await keys.publicKey('sign-writer'))
    assert.equal(publicKey.asymmetricKeyType, 'ed25519')
    assert.equal(verify(null, message, publicKey, signature), true)
    assert.equal(signature.length, 64)
  },

  'verifies what this key signed, and nothing else': async ({ keys }) => {
    const signature = await keys.sign('sign-writer', message)

    assert.equal(await keys.verify('sign-writer', message, signature), true)
    assert.equal(await keys.verify('sign-writer', Buffer.from('another'), signature), false)
    assert.equal(await keys.verify('sign-sealer', message, signature), false)
  },

  'signs 4,096 bytes': async ({ keys }) => {
    assert.equal((await keys.sign('sign-writer', Buffer.alloc(4096))).length, 64)
  },

  'refuses to sign more than 4,096 bytes': async ({ keys }) => {
    await assert.rejects(keys.sign('sign-writer', Buffer.alloc(4097)), fails('refused'))
  },

  'never signs with a key that wraps': async ({ keys }) => {
    await assert.rejects(keys.sign('uploads', message), fails('wrong_purpose'))
  },

  'has no public key of a key that wraps': async ({ keys }) => {
    await assert.rejects(keys.publicKey('uploads'), fails('wrong_purpose'))
  },

  'never wraps with a key that signs': async ({ keys }) => {
    await assert.rejects(keys.dataKey('sign-writer', context), fails('wrong_purpose'))
    await assert.rejects(keys.keyPair('sign-writer', context), fails('wrong_purpose'))
  },

  'says that a key is missing': async ({ keys }) => {
    await assert.rejects(keys.dataKey('nothing', context), fails('missing'))
    await assert.rejects(keys.sign('nothing', message), fails('missing'))
    await assert.rejects(keys.publicKey('nothing'), fails('missing'))
  },

  'makes no data key with a disabled key': async ({ keys, disable }) => {
    await keys.dataKey('retiring-1', context)
    await disable('retiring-1')

    await assert.rejects(keys.dataKey('retiring-1', context), fails('disabled'))
    await assert.rejects(keys.keyPair('retiring-1', context), fails('disabled'))
  },

  'opens nothing with a disabled key': async ({ keys, disable }) => {
    const { wrapped } = await keys.dataKey('retiring-2', context)
    await disable('retiring-2')

    await assert.rejects(keys.unwrap('retiring-2', wrapped, context), fails('disabled'))
  },

  'signs nothing with a disabled key': async ({ keys, disable }) => {
    await keys.sign('sign-retiring', message)
    await disable('sign-retiring')

    await assert.rejects(keys.sign('sign-retiring', message), fails('disabled'))
  },

  'opens what was wrapped before a restart': async ({ keys, reopen }) => {
    const { plaintext, wrapped } = await keys.dataKey('uploads', context)

    const later = await reopen()

    assert.deepEqual(Buffer.from(await later.unwrap('uploads', wrapped, context)), Buffer.from(plaintext))
  }
} satisfies Record<string, (side: KeysSide) => Promise<void>>

/** Cases that a stand-in for the real side gets wrong, each with what it does instead. */
type KeysSkips = { readonly [Title in keyof typeof cases]?: string }

/** Registers every guarantee of the door as a test against one side. A skipped one is shown with its reason. */
export const keysContract = (name: string, make: () => Promise<KeysSide>, skips: KeysSkips = {}): void => {
  describe(`keys: ${name}`, () => {
    let side: KeysSide | undefined
    before(async () => {
      side = await make()
    })
    after(() => side?.close())

    const reasons: Readonly<Record<string, string | undefined>> = skips
    for (const [title, run] of Object.entries(cases))
      it(title, async (t) => {
        const reason = reasons[title]
        if (reason) return t.skip(reason)
        assert.ok(side)
        await run(side)
      })
  })
}
