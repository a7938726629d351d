import type { Readable } from 'node:stream'

/** Bytes going into the store: all at once, or as a stream whose length need not be known. */
export type ObjectBody = Uint8Array | AsyncIterable<Uint8Array>

export type ObjectInfo = {
  readonly key: string
  readonly size: number
  /** Opaque, quoted as HTTP has it; survives restarts; another content has another one. */
  readonly etag: string
  /** The store's clock, by which staleness is judged. */
  readonly lastModified: Date
}

/** `if-none-match` makes a new object only; `if-match` replaces exactly the one that was read. */
export type PutCondition = { readonly ifNoneMatch: '*' } | { readonly ifMatch: string }

/** Bytes `start` to `end`, both included, as HTTP counts; without `end` to the last. */
export type ByteRange = { readonly start: number; readonly end?: number }

export type GetResult =
  | { readonly kind: 'found'; readonly info: ObjectInfo; readonly body: Readable }
  | { readonly kind: 'not-modified' }
  | { readonly kind: 'missing' }

export type ListPage = { readonly objects: readonly ObjectInfo[]; readonly next?: string }

/** A request that somebody without any credential may make once before it expires; send exactly these headers. */
export type PresignedPut = { readonly method: 'PUT'; readonly url: string; readonly headers: Readonly<Record<string, string>> }

/**
 * The door to the object store. Keys are as in the architecture's object layout, first segment and all
 * (`vault/<subscription>/…`); the S3 side maps the first segment to a bucket, the folder side to a folder.
 * Reads see every write that was answered before. Failures are `ObjectsError`s.
 */
export type Objects = {
  readonly put: (
    key: string,
    body: ObjectBody,
    options?: { readonly condition?: PutCondition; readonly contentType?: string }
  ) => Promise<{ readonly etag: string }>
  readonly get: (key: string, options?: { readonly range?: ByteRange; readonly ifNoneMatch?: string }) => Promise<GetResult>
  readonly head: (key: string) => Promise<ObjectInfo | undefined>
  /** Ascending by the keys' UTF-8 bytes. `after` is the `next` of the page before. `limit` defaults to 1,000, which is also the most. */
  readonly list: (prefix: string, options?: { readonly after?: string; readonly limit?: number }) => Promise<ListPage>
  /** Deleting what is not there succeeds. */
  readonly delete: (key: string) => Promise<void>
  /** Copies inside the store; a missing source is an error with the code `missing`. */
  readonly copy: (from: string, to: string) => Promise<{ readonly etag: string }>
  /** Signs `content-length`, `if-none-match: *` and `x-amz-checksum-sha256` (base64 of `sha256`, which is hex). */
  readonly presignPut: (
    key: string,
    options: { readonly size: number; readonly sha256: string; readonly expiresInSeconds: number }
  ) => Promise<PresignedPut>
  readonly presignGet: (key: string, options: { readonly expiresInSeconds: number }) => Promise<{ readonly url: string }>
}

/**
 * `precondition_failed`: the condition did not hold (412). `conflict`: another write was under way, nothing was written by
 * this call that lasts, read again and retry (409). `missing`: no such object. `refused`: this handle may not do that.
 * `unavailable`: the store did not answer well; the outcome of a write is unknown.
 */
export type ObjectsErrorCode = 'precondition_failed' | 'conflict' | 'missing' | 'refused' | 'unavailable'

export class ObjectsError extends Error {
  readonly code: ObjectsErrorCode

  constructor(code: ObjectsErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ObjectsError'
    this.code = code
  }
}

export const isObjectsError = (error: unknown, code: ObjectsErrorCode): boolean =>
  error instanceof ObjectsError && error.code === code
