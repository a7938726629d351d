import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Upload, UploadPack } from '@berth/shared/api/uploads'
import { canonicalJson, sha256Hex } from '@berth/shared/canonical'
import { parseManifest } from '@berth/shared/manifest'
import { readPackIndex, stagingPackKey } from '@berth/shared/packs/pack'
import { openPiece, pieceKey } from '@berth/shared/packs/pieces'
import { checkPaths } from '@berth/shared/paths'
import { openWithKey } from '@berth/shared/sealed'
import type { FakeDeployments } from './fake-deployments.ts'
import { ApiFailure, type FakeRequest, type Routes } from './fake-routes.ts'

type Staged = { readonly upload: string; readonly key: Buffer; readonly application: string }

/** Uploads, the staging store that takes presigned PUTs, and a sealer that opens every piece of what was finished. */
export const fakeUploads = (o: { subscription: string; origin: () => string; deployments: FakeDeployments }) => {
  const staging = stagingStore()
  const uploads = new Map<string, { staged: Staged; request: Record<string, unknown>; state: Upload }>()
  const limits = { filesMax: 1000, bytesMax: 1_000_000_000, packBytesMax: 24 * 1024 * 1024 }
  /** What the sealer opened: version → path → content. */
  const opened = new Map<string, Map<string, Buffer>>()
  /** Set by a test: the sealer refuses the next upload, or seals and does not deploy it, with this. */
  const next: { refusal?: { code: string; message: string }; notDeployed?: { code: string; message: string } } = {}

  const get = (id: string | undefined) => {
    const found = uploads.get(id ?? '')
    if (!found) throw new ApiFailure(404, 'not_found', `no upload ${id}`)
    return found
  }

  const seal = async (staged: Staged, manifestDigest: string, packs: readonly UploadPack[]): Promise<number> => {
    const { upload, key, application } = staged
    const context = { purpose: 'upload-manifest', subscription: o.subscription, application, upload }
    const text = await openWithKey(key, context, staging.get(`${upload}/manifest`))
    if (sha256Hex(text) !== manifestDigest) throw new ApiFailure(400, 'bad_manifest', 'another manifest than was named')
    const manifest = parseManifest(text)
    if (canonicalJson(manifest) !== text.toString()) throw new ApiFailure(400, 'bad_manifest', 'not canonical')
    checkPaths(manifest.files.map(({ path }) => path))

    const pieces = new Map<string, Buffer>()
    for (const pack of packs)
      for (const [digest, piece] of await openPack(staged, o.subscription, pack, staging.get(`${upload}/packs/${pack.pack}`)))
        pieces.set(digest, piece)
    const files = new Map<string, Buffer>()
    for (const file of manifest.files) {
      const parts = file.pieces.map((digest) => pieces.get(digest))
      const whole = Buffer.concat(parts.filter((part) => part !== undefined))
      if (parts.includes(undefined) || whole.length !== file.size)
        throw new ApiFailure(400, 'bad_manifest', `${file.path} is not whole`)
      files.set(file.path, whole)
    }
    const number = o.deployments.addVersion(application, manifest, manifestDigest)
    opened.set(`${application}/${number}`, files)
    return number
  }

  const routes: Routes = {
    'POST /applications/:id/uploads': ([application = ''], request) => {
      if (Number(request.files) > limits.filesMax)
        throw new ApiFailure(422, 'too_many_files', `more than ${limits.filesMax} files`)
      const staged = { upload: randomUUID(), key: randomBytes(32), application }
      uploads.set(staged.upload, { staged, request, state: { id: staged.upload, application, state: 'open' } })
      return { id: staged.upload, key: staged.key.toString('base64'), expiresAt: '2100-01-01T00:00:00Z', limits }
    },
    'POST /uploads/:id/packs': ([id = ''], body) => {
      get(id)
      const { packs, manifest } = body as { packs: UploadPack[]; manifest?: UploadPack } // the schema is checked by the real API
      const target = (path: string, { size, sha256 }: UploadPack) => ({
        method: 'PUT',
        ...staging.presign(o.origin(), path, size, sha256)
      })
      return {
        packs: packs.map((pack) => ({ pack: pack.pack, ...target(`${id}/packs/${pack.pack}`, pack) })),
        ...(manifest ? { manifest: target(`${id}/manifest`, manifest) } : {})
      }
    },
    'POST /uploads/:id/finish': async ([id], body) => {
      const found = get(id)
      const { manifest, packs } = body as { manifest: string; packs: UploadPack[] } // the schema is checked by the real API
      const finishing = { ...found.state, state: 'finishing' as const }
      found.state = next.refusal
        ? { ...found.state, state: 'refused', refusal: next.refusal }
        : { ...found.state, state: 'sealed', version: await seal(found.staged, manifest, packs) }
      const deploy = found.request.deploy as { deployment: string } | undefined // the schema is checked by the real API
      const version = found.state.version
      if (deploy && version)
        found.state = next.notDeployed
          ? { ...found.state, refusal: next.notDeployed }
          : { ...found.state, schedule: o.deployments.schedule(deploy.deployment, version, undefined) }
      return finishing
    },
    'GET /uploads/:id': ([id]) => get(id).state
  }
  return { routes, staging, opened, limits, next, all: uploads }
}

const openPack = async ({ key, application }: Staged, subscription: string, row: UploadPack, bytes: Buffer) => {
  const { pack, size, sha256 } = row
  if (bytes.length !== size || sha256Hex(bytes) !== sha256) throw new ApiFailure(400, 'bad_pack', `pack ${pack} has other bytes`)
  const packKey = stagingPackKey(key, pack)
  const readRange = async (start: number, end: number) => bytes.subarray(start, end + 1)
  const pieces = new Map<string, Buffer>()
  for (const entry of await readPackIndex({ packKey, pack, subscription, application, size, readRange })) {
    const sealed = bytes.subarray(entry.offset, entry.offset + entry.length)
    const piece = await openPiece({ ...entry, key: pieceKey(packKey, entry.digest), subscription, application, entry: sealed })
    pieces.set(entry.digest, piece)
  }
  return pieces
}

/** Takes exactly what was signed, once: length, checksum, `if-none-match: *`. */
const stagingStore = () => {
  const objects = new Map<string, Buffer>()
  const signed = new Map<string, Record<string, string>>()
  return {
    objects,
    get: (path: string): Buffer => {
      const found = objects.get(path)
      if (!found) throw new ApiFailure(400, 'missing', `${path} was not sent`)
      return found
    },
    presign: (origin: string, path: string, size: number, sha256: string) => {
      const headers = {
        'content-length': String(size),
        'if-none-match': '*',
        'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64')
      }
      const signature = randomUUID()
      signed.set(signature, headers)
      return { url: `${origin}/staging/${path}?signature=${signature}`, headers }
    },
    put: ({ path, headers, body }: FakeRequest): { status: number; body: unknown } => {
      const [key = '', signature = ''] = path.replace('/staging/', '').split('?signature=')
      const wanted = signed.get(signature)
      const isAsSigned = wanted && Object.entries(wanted).every(([name, value]) => headers[name] === value)
      const checksum = createHash('sha256').update(body).digest('base64')
      if (!isAsSigned || headers.authorization || checksum !== headers['x-amz-checksum-sha256'])
        return { status: 403, body: null }
      if (objects.has(key)) return { status: 412, body: null }
      objects.set(key, body)
      return { status: 200, body: null }
    }
  }
}
