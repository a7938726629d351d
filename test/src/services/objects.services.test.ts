import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { objectsContract } from '@berth/shared/objects/contract'
import { s3Objects } from '@berth/shared/objects/s3'
import { startMoto } from './moto.ts'

const bucketOf = (firstSegment: string): string => `berth-test-${firstSegment}`

const clientOf = (endpoint: string): S3Client =>
  new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    requestChecksumCalculation: 'WHEN_REQUIRED'
  })

objectsContract(
  'S3 (moto)',
  async () => {
    const moto = await startMoto()
    const client = clientOf(moto.endpoint)
    for (const segment of ['fleets', 'vault']) await client.send(new CreateBucketCommand({ Bucket: bucketOf(segment) }))
    return {
      objects: s3Objects({ client, bucketOf }),
      reopen: async () => s3Objects({ client: clientOf(moto.endpoint), bucketOf }),
      passSeconds: () => undefined,
      close: async () => {
        client.destroy()
        await moto.stop()
      }
    }
  },
  {
    'refuses bytes that do not have the signed checksum, and stores nothing': 'moto stores bytes whatever their checksum',
    'refuses a presigned PUT whose signed headers are others or missing': 'moto does not verify signatures of presigned URLs',
    'refuses a presigned URL for any other key or method': 'moto does not verify signatures of presigned URLs',
    'refuses a presigned URL after it expired': 'moto does not look at the expiry of presigned URLs'
  }
)

describe('objects: what S3 is asked to hold a presigned request to', () => {
  const objects = s3Objects({ client: clientOf('http://127.0.0.1:1'), bucketOf })

  it('signs the length, the condition and the checksum of a PUT, as headers and not in the URL', async () => {
    const { url, headers } = await objects.presignPut('fleets/a', { size: 5, sha256: '00'.repeat(32), expiresInSeconds: 60 })

    const query = new URL(url).searchParams
    assert.equal(query.get('X-Amz-SignedHeaders'), 'content-length;host;if-none-match;x-amz-checksum-sha256')
    assert.deepEqual(Object.keys(headers).sort(), ['content-length', 'if-none-match', 'x-amz-checksum-sha256'])
    assert.equal(query.get('X-Amz-Expires'), '60')
    assert.deepEqual(
      [...query.keys()].filter((name) => name.toLowerCase().includes('checksum')),
      []
    )
  })

  it('signs only the host of a GET, and has it answered as a download', async () => {
    const { url } = await objects.presignGet('fleets/a', { expiresInSeconds: 60 })

    const query = new URL(url).searchParams
    assert.equal(query.get('X-Amz-SignedHeaders'), 'host')
    assert.equal(query.get('response-content-disposition'), 'attachment')
  })
})
