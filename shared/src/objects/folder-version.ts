import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Type } from 'typebox'
import { jsonParser } from '../parse.ts'
import { BodyError, isSystemError } from './folder-errors.ts'
import { type ObjectBody, ObjectsError } from './objects.ts'

/** One version file: this many bytes of header (JSON, padded with spaces), then the object's bytes. An empty file is a superseded version. */
export const headerBytes = 256

const Header = Type.Object(
  {
    format: Type.Literal(1),
    size: Type.Integer({ minimum: 0 }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    createdAt: Type.String({ format: 'date-time' }),
    deleted: Type.Boolean()
  },
  { additionalProperties: false }
)
const parseHeader = jsonParser(Header, 'the header of a stored version')

export type Version = {
  readonly size: number
  readonly sha256: string
  readonly createdAt: Date
  /** A tombstone: from this version on there is no object. */
  readonly deleted: boolean
}

/** What an emptied file stands for. It is no longer the object, whatever else there is. */
export const superseded: Version = { size: 0, sha256: '', createdAt: new Date(0), deleted: true }

/** A version that is on disk and synced, under a temporary name, but not yet published. */
export type Draft = Version & { readonly path: string }

/** Survives restarts; holds the number too, so that a writer is not fooled when the same content comes back. */
export const etagOf = (sha256: string, number: number): string => `"${sha256.slice(0, 32)}-${number.toString(36)}"`

/** The folder of what is not yet, or no longer, part of the store; on the same file system, so that linking and renaming work. */
export const temporaryFolder = (root: string): string => join(root, '.tmp')

/** A name that nobody else uses. */
export const temporaryPath = (root: string): string => join(temporaryFolder(root), randomUUID())

/** Writes and syncs a version under a temporary name. On failure nothing is left. */
export const writeDraft = async (root: string, body: ObjectBody, createdAt: Date, deleted = false): Promise<Draft> => {
  const path = temporaryPath(root)
  const file = await open(path, 'wx', 0o600)
  try {
    const content = body instanceof Uint8Array ? await writeBytes(file, body) : await writeStream(file, body)
    const version = { ...content, createdAt, deleted }
    await file.write(encodeHeader(version), 0, headerBytes, 0)
    await file.sync()
    await file.close()
    return { ...version, path }
  } catch (error) {
    await file.close().catch(() => undefined)
    await rm(path, { force: true })
    throw error
  }
}

/** Opens one version; nothing when there is no such file. The caller closes the file. */
export const openVersion = async (path: string): Promise<{ version: Version; file: FileHandle } | undefined> => {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, 0)
    return { version: bytesRead === 0 ? superseded : decodeHeader(path, buffer.subarray(0, bytesRead)), file }
  } catch (error) {
    await file.close()
    throw error
  }
}

const writeBytes = async (file: FileHandle, body: Uint8Array): Promise<{ size: number; sha256: string }> => {
  if (body.length > 0) await writeAll(file, body, headerBytes)
  return { size: body.length, sha256: createHash('sha256').update(body).digest('hex') }
}

const writeStream = async (file: FileHandle, body: AsyncIterable<Uint8Array>): Promise<{ size: number; sha256: string }> => {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of carryingErrors(body)) {
    hash.update(chunk)
    await writeAll(file, chunk, headerBytes + size)
    size += chunk.length
  }
  return { size, sha256: hash.digest('hex') }
}

const carryingErrors = async function* (body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (cause) {
    throw new BodyError('the body failed', { cause })
  }
}

// write(2) may write less than it was given, as it does just before the disk is full.
const writeAll = async (file: FileHandle, bytes: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}

const encodeHeader = ({ size, sha256, createdAt, deleted }: Version): Buffer =>
  Buffer.from(
    `${JSON.stringify({ format: 1, size, sha256, createdAt: createdAt.toISOString(), deleted }).padEnd(headerBytes - 1)}\n`
  )

const decodeHeader = (path: string, bytes: Buffer): Version => {
  try {
    const header = parseHeader(bytes)
    return { ...header, createdAt: new Date(header.createdAt) }
  } catch (cause) {
    throw new ObjectsError('unavailable', `the stored version ${path} is damaged; restore it from a backup`, cause)
  }
}
