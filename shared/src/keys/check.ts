import { type EncryptionContext, KeysError, type KeysErrorCode } from './keys.ts'

const messageBytesMax = 4096

/** Refuses a wrapping without a context: it could be opened for any purpose. Both sides of the door ask here. */
export const checkContext = (key: string, context: EncryptionContext): void => {
  const entries = Object.entries(context)
  if (entries.length === 0 || entries.some(([name, value]) => name === '' || value === ''))
    throw new KeysError('refused', `${key}: an encryption context is not empty, nor is any name or value in it`)
}

/** Refuses a message that the key service would refuse: sign a digest of what is larger. */
export const checkMessage = (key: string, message: Uint8Array): void => {
  if (message.length > messageBytesMax)
    throw new KeysError('refused', `${key} signs at most ${messageBytesMax} bytes, not ${message.length}`)
}

/** The errors of the door, in the same words on both sides. */
export const keysError = (code: Exclude<KeysErrorCode, 'refused' | 'unavailable'>, key: string, cause?: unknown): KeysError =>
  new KeysError(code, `${key}: ${meanings[code]}`, cause)

const meanings = {
  missing: 'there is no such key',
  disabled: 'the key is disabled',
  wrong_purpose: 'the key is for another purpose: what wraps never signs',
  wrong_context: 'this was not wrapped by this key for this context, or it was changed since'
} as const
