import { Readable } from 'node:stream'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  S3ServiceException
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { badRange, checkKey, checkPrefix, checkPresign, pageSize, preconditionFailed } from './key.ts'
import { type GetResult, type ObjectInfo, type Objects, ObjectsError, type PutCondition } from './objects.ts'

/**
 * The object store as S3. The first segment of a key names the bucket, and the key in the bucket is the whole key, since buckets
 * may be shared. The client must have been made with `requestChecksumCalculation: 'WHEN_REQUIRED'`: otherwise a presigned PUT
 * carries the checksum of an empty body. Its role needs `s3:ListBucket`: S3 says that an object is missing only to who may list.
 * Copies are of at most 5 GiB.
 */
export const s3Objects = ({
  client,
  bucketOf
}: {
  readonly client: S3Client
  readonly bucketOf: (firstSegment: string) => string
}): Objects => {
  const placeOf = (key: string) => {
    checkKey(key)
    return { Bucket: bucketOf(key.split('/', 1)[0] ?? ''), Key: key }
  }

  return {
    put: (key, body, { condition, contentType } = {}) => {
      const watch: Watch = { broken: undefined }
      return asked(
        key,
        async () => {
          const params = { ...placeOf(key), ...conditionHeaders(condition), ...(contentType ? { ContentType: contentType } : {}) }
          const answer =
            body instanceof Uint8Array
              ? await client.send(new PutObjectCommand({ ...params, Body: body }))
              : await new Upload({ client, params: { ...params, Body: watchedStream(body, watch) } }).done()
          return { etag: given(key, answer.ETag) }
        },
        { condition, watch }
      )
    },

    get: (key, { range, ifNoneMatch } = {}) =>
      asked(key, async (): Promise<GetResult> => {
        try {
          const answer = await client.send(
            new GetObjectCommand({
              ...placeOf(key),
              ...(range ? { Range: `bytes=${range.start}-${range.end ?? ''}` } : {}),
              ...(ifNoneMatch === undefined ? {} : { IfNoneMatch: ifNoneMatch })
            })
          )
          const size = Number(answer.ContentRange?.split('/')[1] ?? answer.ContentLength)
          const info = infoOf(key, { ...answer, Size: size })
          return { kind: 'found', info, body: Readable.from(bodyOf(key, answer.Body), { objectMode: false }) }
        } catch (error) {
          if (statusOf(error) === 304) return { kind: 'not-modified' }
          if (statusOf(error) === 404) return { kind: 'missing' }
          if (statusOf(error) === 416) throw badRange(key, error)
          throw error
        }
      }),

    head: (key) =>
      asked(key, async () => {
        try {
          const answer = await client.send(new HeadObjectCommand(placeOf(key)))
          return infoOf(key, { ...answer, Size: answer.ContentLength })
        } catch (error) {
          if (statusOf(error) === 404) return undefined
          throw error
        }
      }),

    list: (prefix, { after, limit } = {}) =>
      asked(prefix, async () => {
        checkPrefix(prefix)
        const answer = await client.send(
          new ListObjectsV2Command({
            Bucket: placeOf(prefix).Bucket,
            Prefix: prefix,
            MaxKeys: pageSize(limit),
            // Keys may hold characters that XML cannot.
            EncodingType: 'url',
            ...(after === undefined ? {} : { StartAfter: after })
          })
        )
        const objects = (answer.Contents ?? []).map((entry) => infoOf(decodeKey(given(prefix, entry.Key)), entry))
        const last = objects.at(-1)
        return answer.IsTruncated && last ? { objects, next: last.key } : { objects }
      }),

    delete: (key) =>
      asked(key, async () => {
        await client.send(new DeleteObjectCommand(placeOf(key)))
      }),

    copy: (from, to) =>
      asked(to, async () => {
        const source = placeOf(from)
        try {
          const answer = await client.send(
            new CopyObjectCommand({
              ...placeOf(to),
              CopySource: `${source.Bucket}/${source.Key.split('/').map(encodeURIComponent).join('/')}`
            })
          )
          return { etag: given(to, answer.CopyObjectResult?.ETag) }
        } catch (error) {
          if (statusOf(error) !== 404) throw error
          throw new ObjectsError('missing', `${from} does not exist; nothing was copied`, error)
        }
      }),

    presignPut: (key, { size, sha256, expiresInSeconds }) =>
      asked(key, async () => {
        checkPresign({ expiresInSeconds, size, sha256 })
        const checksum = Buffer.from(sha256, 'hex').toString('base64')
        const headers = { 'content-length': String(size), 'if-none-match': '*', 'x-amz-checksum-sha256': checksum }
        const command = new PutObjectCommand({ ...placeOf(key), ContentLength: size, IfNoneMatch: '*', ChecksumSHA256: checksum })
        // The signer moves `x-amz-` headers into the URL unless told not to; there S3 would not hold the body to the checksum.
        const unhoistableHeaders = new Set(['x-amz-checksum-sha256'])
        const url = await getSignedUrl(client, command, { expiresIn: expiresInSeconds, unhoistableHeaders })
        return { method: 'PUT', url, headers } as const
      }),

    presignGet: (key, { expiresInSeconds }) =>
      asked(key, async () => {
        checkPresign({ expiresInSeconds })
        const command = new GetObjectCommand({ ...placeOf(key), ResponseContentDisposition: 'attachment' })
        return { url: await getSignedUrl(client, command, { expiresIn: expiresInSeconds }) }
      })
  }
}

const conditionHeaders = (condition: PutCondition | undefined) => {
  if (!condition) return {}
  return 'ifMatch' in condition ? { IfMatch: condition.ifMatch } : { IfNoneMatch: condition.ifNoneMatch }
}

type Watch = { broken: { readonly error: unknown } | undefined }

/** Turns what S3 says against a call into the door's own error, by the status alone. */
const asked = async <T>(
  key: string,
  call: () => Promise<T>,
  put?: { readonly condition: PutCondition | undefined; readonly watch: Watch }
): Promise<T> => {
  try {
    return await call()
  } catch (error) {
    if (put?.watch.broken) throw put.watch.broken.error
    if (error instanceof ObjectsError) throw error
    throw doorError(key, error, put?.condition)
  }
}

const doorError = (key: string, error: unknown, condition: PutCondition | undefined): ObjectsError => {
  const status = statusOf(error)
  // An earlier try of the same call may have been the one that was written, and then the refusal is of our own echo.
  const triedBefore = error instanceof S3ServiceException && (error.$metadata.attempts ?? 1) > 1
  if (condition && !triedBefore) {
    // For If-Match, S3 answers 404 where there is no object at all.
    if (status === 412 || (status === 404 && 'ifMatch' in condition && !isMissingBucket(error)))
      return preconditionFailed(key, condition, error)
    if (status === 409)
      return new ObjectsError('conflict', `${key}: another write was first; nothing was written, read again`, error)
  }
  if (status === 403) return new ObjectsError('refused', `${key}: the object store refuses this to us`, error)
  return new ObjectsError(
    'unavailable',
    `${key}: the object store did not answer well; look again before you repeat a write`,
    error
  )
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined

const isMissingBucket = (error: unknown): boolean => error instanceof S3ServiceException && error.name === 'NoSuchBucket'

const infoOf = (
  key: string,
  o: { readonly ETag?: string | undefined; readonly Size?: number | undefined; readonly LastModified?: Date | undefined }
): ObjectInfo => ({ key, size: given(key, o.Size), etag: given(key, o.ETag), lastModified: given(key, o.LastModified) })

const given = <T>(key: string, value: T | undefined): T => {
  if (value === undefined) throw new ObjectsError('unavailable', `${key}: the object store's answer is not whole`)
  return value
}

const decodeKey = (encoded: string): string => decodeURIComponent(encoded.replaceAll('+', '%20'))

// The SDK wraps errors of the stream that it reads; the watch keeps the source's own.
const watchedStream = (body: AsyncIterable<Uint8Array>, watch: Watch): Readable =>
  Readable.from(watched(body, watch), { objectMode: false })

const watched = async function* (body: AsyncIterable<Uint8Array>, watch: Watch): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (error) {
    watch.broken = { error }
    throw error
  }
}

const bodyOf = async function* (key: string, body: unknown): AsyncGenerator<Uint8Array> {
  if (!(body instanceof Readable)) throw new ObjectsError('unavailable', `${key}: the object store sent no bytes`)
  try {
    yield* body
  } catch (cause) {
    throw new ObjectsError('unavailable', `${key}: reading stopped before its end`, cause)
  }
}
