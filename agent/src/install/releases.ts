import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readlink, rename, rm, rmdir, stat, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { type Objects, ObjectsError } from '@berth/shared/objects/objects'
import { openPiece } from '@berth/shared/packs/pieces'
import { Refusal } from '@berth/shared/refusal'
import { type Package, releaseDigest } from '@berth/shared/release'
import { limiter, mapBounded } from '../bounded.ts'
import { type Checkpoint, noCheckpoint } from '../checkpoint.ts'
import type { PoolIdentity } from '../host/host.ts'
import { type PackRange, rangesOf } from './ranges.ts'
import { foldersOf, linkUnchanged, makeFolder, slicesOf, writeSlice } from './release-files.ts'
import { asDiskFull, type FreeBytes, requireRoom } from './room.ts'
import { syncPath } from './sync.ts'

/** Ranges under way at once, over all releases: with their size this bounds the memory of installing. */
const readsMax = 4
const releaseName = /^([0-9a-f]{64})(\.[0-9a-f]{8}\.tmp|\.adjacent)?$/

export type Releases = Awaited<ReturnType<typeof releases>>

/** What of a deployment lies on this disk. */
export type ReleaseFolders = {
  /** Releases whose files are whole. */
  readonly whole: readonly string[]
  /** Releases of which anything lies here. */
  readonly any: readonly string[]
  readonly adjacent: Readonly<Record<string, string>>
}

/**
 * The files of releases, in `<deployment>/<release>`. They are ours, readable by the deployment's group and writable by no
 * pool. A release is written beside and renamed when it is whole, so what has its final name is always complete.
 */
export const releases = async ({
  objects,
  fleet,
  folder,
  freeBytes,
  checkpoint = noCheckpoint
}: {
  readonly objects: Objects
  readonly fleet: string
  readonly folder: string
  readonly freeBytes: FreeBytes
  readonly checkpoint?: Checkpoint
}) => {
  await mkdir(folder, { recursive: true, mode: 0o711 })
  await chmod(folder, 0o711)
  const reads = limiter(readsMax)
  const writing = new Set<string>()
  const deploymentFolder = (deployment: string) => join(folder, deployment)
  const folderOf = (deployment: string, release: string) => join(folder, deployment, release)

  const readRange = async ({ pack, incarnation, start, end, pieces }: PackRange): Promise<Buffer> => {
    const bytesMax = end - start + 1
    const bytes = await getBytes(objects, layout.fleetPack(fleet, pack, incarnation), { bytesMax, range: { start, end } })
    if (!bytes) throw new Refusal('missing_pack', `the store holds no copy ${incarnation} of pack ${pack}`)
    if (bytes.length !== bytesMax) throw new ObjectsError('unavailable', `pack ${pack}: ${pieces.length} pieces came in part`)
    return bytes
  }

  /** What is left of earlier tries at this release, unless one of them is still at it. */
  const removeTemporary = async (final: string): Promise<void> => {
    for (const entry of await readdir(dirname(final)).catch(() => [])) {
      const path = join(dirname(final), entry)
      if (path.startsWith(`${final}.`) && path.endsWith('.tmp') && !writing.has(path))
        await rm(path, { recursive: true, force: true })
    }
  }

  const install = async (content: Package, identity: PoolIdentity | undefined, signal: AbortSignal): Promise<void> => {
    const { deployment } = content.release
    const final = folderOf(deployment, releaseDigest(content.release))
    if (await isFolder(final)) return
    await removeTemporary(final)
    const what = `version ${content.release.number} of deployment ${deployment}`
    // A name of its own: an installation that was given up may still be ending.
    const temporary = temporaryOf(final)
    await makeFolder(deploymentFolder(deployment), identity)
    writing.add(temporary)
    try {
      const others = (await listReleases(deploymentFolder(deployment))).whole.map((release) => folderOf(deployment, release))
      const toWrite = await linkUnchanged(content.manifest.files, others, temporary, identity, signal)
      checkpoint('release/linked')
      const neededBytes = toWrite.reduce((sum, file) => sum + file.size, 0)
      await requireRoom(freeBytes, folder, neededBytes, what)
      const wanted = slicesOf(toWrite)
      const ranges = rangesOf(content.pieces.filter(({ digest }) => wanted.has(digest)))
      await mapBounded(ranges, readsMax, (range) =>
        reads.run(async () => {
          const bytes = await readRange(range)
          for (const piece of range.pieces) {
            signal.throwIfAborted()
            const from = piece.offset - range.start
            const plaintext = await openPiece({
              ...piece,
              key: Buffer.from(piece.key, 'base64'),
              subscription: content.subscription,
              application: content.release.application,
              entry: bytes.subarray(from, from + piece.length)
            })
            for (const slice of wanted.get(piece.digest) ?? [])
              await writeSlice(join(temporary, slice.file.path), plaintext, slice, identity)
          }
        }, signal)
      )
      checkpoint('release/written')
      signal.throwIfAborted()
      for (const path of foldersOf(content.manifest.files)) await syncPath(join(temporary, path))
      await rename(temporary, final)
      await syncPath(dirname(final))
      checkpoint('release/renamed')
    } catch (error) {
      await rm(temporary, { recursive: true, force: true })
      throw asDiskFull(error, what)
    } finally {
      writing.delete(temporary)
    }
  }

  return {
    folderOf,
    adjacentLinkOf: (deployment: string, release: string): string => `${folderOf(deployment, release)}.adjacent`,
    /** Installs a verified package's files; does nothing when they are there. Whatever fails, nothing half-made has the final name. */
    install,
    observe: (deployment: string): Promise<ReleaseFolders> => listReleases(deploymentFolder(deployment)),
    /** Every deployment of which anything lies on this disk. */
    deployments: async (): Promise<string[]> => (await readdir(folder)).filter((entry) => !entry.startsWith('.')),
    /** Points a release at the one whose files answer what it lacks, in one step. */
    link: async (deployment: string, release: string, adjacent: string | null): Promise<void> => {
      const path = `${folderOf(deployment, release)}.adjacent`
      if (adjacent === null) return rm(path, { force: true })
      await rm(`${path}.new`, { force: true })
      await symlink(adjacent, `${path}.new`)
      await rename(`${path}.new`, path)
    },
    /** A release loses its name before its files go: what is half-removed is never taken for whole. */
    remove: async (deployment: string, release: string): Promise<void> => {
      const final = folderOf(deployment, release)
      await rm(`${final}.adjacent`, { force: true })
      if (await isFolder(final)) await rename(final, temporaryOf(final))
      checkpoint('release/unnamed')
      await removeTemporary(final)
      await rmdir(deploymentFolder(deployment)).catch(() => undefined)
    }
  }
}

const temporaryOf = (final: string): string => `${final}.${randomBytes(4).toString('hex')}.tmp`

const isFolder = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined))?.isDirectory() ?? false

const listReleases = async (folder: string): Promise<ReleaseFolders> => {
  const whole: string[] = []
  const any = new Set<string>()
  const adjacent: Record<string, string> = {}
  for (const entry of await readdir(folder).catch(() => [])) {
    const [, release, ending] = releaseName.exec(entry) ?? []
    if (release === undefined) continue
    any.add(release)
    if (ending === undefined) whole.push(release)
    if (ending === '.adjacent') adjacent[release] = await readlink(join(folder, entry)).catch(() => '')
  }
  return { whole, any: [...any], adjacent }
}
