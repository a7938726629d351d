import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildRef, type BuildStatement, parseBuildStatement } from '@berth/shared/build'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'
import { openStatement, type Root } from '@berth/shared/trust'
import { mapBounded } from '../bounded.ts'
import { type Checkpoint, noCheckpoint } from '../checkpoint.ts'
import { asDiskFull, type FreeBytes, requireRoom } from './room.ts'
import { syncPath } from './sync.ts'
import { unpackTarZst } from './unpack.ts'

const statementBytesMax = 64 * 1024
/** An archive may grow this much when it is unpacked; less room than that is refused before it is fetched. */
const unpackedTimesMax = 5
const syncsMax = 8
/** How deep builds may need one another. */
const requiresDepthMax = 3

/** A build that lies unpacked on this server, with those that it needs. */
export type InstalledBuild = { readonly folder: string; readonly requires: Readonly<Record<string, string>> }

export type Builds = Awaited<ReturnType<typeof builds>>

/**
 * Builds of application servers, side by side in `<name>-<version>-<digest12>`: exactly those that releases here need.
 * Nothing is unpacked that the vendor did not sign. A build counts as installed once its statement lies beside it.
 */
export const builds = async ({
  objects,
  fleet,
  root,
  folder,
  platform,
  freeBytes,
  checkpoint = noCheckpoint
}: {
  readonly objects: Objects
  readonly fleet: string
  readonly root: Root
  readonly folder: string
  readonly platform: string
  readonly freeBytes: FreeBytes
  readonly checkpoint?: Checkpoint
}) => {
  await mkdir(folder, { recursive: true, mode: 0o755 })
  await chmod(folder, 0o755)
  const underWay = new Map<string, Promise<InstalledBuild>>()
  const listInstalled = async (): Promise<string[]> =>
    (await readdir(folder)).flatMap((entry) => /^([a-z].*)-[0-9a-f]{12}\.json$/.exec(entry)?.[1] ?? []).sort()
  let installed = await listInstalled()
  const folderOf = (ref: BuildRef) => join(folder, nameOf(ref))

  /** Statements do not change; whether the folder is there is looked at each time. */
  const statements = new Map<string, BuildStatement>()
  const findStatement = async (ref: BuildRef): Promise<BuildStatement | undefined> => {
    if (!(await stat(folderOf(ref)).catch(() => undefined))) return undefined
    const known = statements.get(nameOf(ref))
    if (known) return known
    const text = await readTextIfThere(`${folderOf(ref)}.json`)
    const statement = text === undefined ? undefined : parseBuildStatement(text)
    if (statement) statements.set(nameOf(ref), statement)
    return statement
  }
  const find = async (ref: BuildRef, depth = 0): Promise<InstalledBuild | undefined> => {
    const statement = depth > requiresDepthMax ? undefined : await findStatement(ref)
    if (!statement) return undefined
    const requires: Record<string, string> = {}
    for (const required of statement.requires) {
      const found = await find(required, depth + 1)
      if (!found) return undefined
      Object.assign(requires, found.requires, { [required.name]: found.folder })
    }
    return { folder: folderOf(ref), requires }
  }

  const fetchStatement = async (ref: BuildRef): Promise<BuildStatement> => {
    const key = layout.fleetBuildStatement(fleet, ref.name, ref.version, ref.platform)
    const envelope = await getBytes(objects, key, { bytesMax: statementBytesMax })
    if (!envelope) throw new Refusal('missing_build', `the store holds no build ${ref.name} ${ref.version} for ${ref.platform}`)
    const statement = parseBuildStatement(openStatement(root, envelope, 'build'))
    const isSame =
      statement.name === ref.name &&
      statement.version === ref.version &&
      statement.platform === ref.platform &&
      statement.digest === ref.digest
    if (!isSame)
      throw new Refusal('bad_build', `the build ${ref.name} ${ref.version} is signed as another one than desired state names`)
    return statement
  }

  /** Fetches one archive into a file, refusing it unless it is byte for byte what the vendor signed. */
  const fetchArchive = async (ref: BuildRef, statement: BuildStatement, file: string, signal: AbortSignal): Promise<void> => {
    const found = await objects.get(layout.fleetBuild(fleet, ref.name, ref.version, ref.platform))
    if (found.kind !== 'found') throw new Refusal('missing_build', `the store holds no archive of ${ref.name} ${ref.version}`)
    const hash = createHash('sha256')
    let size = 0
    const handle = await open(file, 'wx', 0o600)
    try {
      for await (const chunk of found.body) {
        signal.throwIfAborted()
        size += chunk.length
        if (size > statement.size) break
        hash.update(chunk)
        await handle.write(chunk)
      }
    } finally {
      found.body.destroy()
      await handle.close()
    }
    if (size !== statement.size || hash.digest('hex') !== statement.digest)
      throw new Refusal('bad_build', `the archive of ${ref.name} ${ref.version} holds other bytes than the vendor signed`)
  }

  const unpack = async (ref: BuildRef, statement: BuildStatement, signal: AbortSignal): Promise<void> => {
    const what = `build ${ref.name} ${ref.version}`
    await requireRoom(freeBytes, folder, statement.size * unpackedTimesMax, what)
    const temporary = join(folder, `.${randomUUID()}`)
    try {
      await mkdir(temporary, { mode: 0o755 })
      await chmod(temporary, 0o755)
      const archive = join(temporary, 'archive')
      await fetchArchive(ref, statement, archive, signal)
      checkpoint('build/fetched')
      const unpacked = join(temporary, 'unpacked')
      await mkdir(unpacked, { mode: 0o755 })
      await unpackTarZst(createReadStream(archive), unpacked, signal)
      await openToAll(unpacked)
      checkpoint('build/unpacked')
      await rm(folderOf(ref), { recursive: true, force: true })
      await rename(unpacked, folderOf(ref))
      await syncPath(folder)
      checkpoint('build/renamed')
      await writeFileAtomic(`${folderOf(ref)}.json`, JSON.stringify(statement))
    } catch (error) {
      throw asDiskFull(error, what)
    } finally {
      await rm(temporary, { recursive: true, force: true })
    }
  }

  const installOne = async (ref: BuildRef, signal: AbortSignal, depth: number): Promise<InstalledBuild> => {
    if (ref.platform !== platform)
      throw new Refusal('bad_build', `the build ${ref.name} ${ref.version} is for ${ref.platform}; this server is ${platform}`)
    if (depth > requiresDepthMax)
      throw new Refusal('bad_build', `the build ${ref.name} ${ref.version} is needed too many builds deep`)
    const statement = (await findStatement(ref)) ?? (await fetchStatement(ref))
    for (const required of statement.requires) await install(required, signal, depth + 1)
    if (!(await findStatement(ref))) await unpack(ref, statement, signal)
    installed = await listInstalled()
    const found = await find(ref)
    if (!found) throw new Error(`the build ${nameOf(ref)} is not whole after it was installed`)
    return found
  }

  /** Two releases that need the same build wait for one installation. */
  const install = (ref: BuildRef, signal: AbortSignal, depth = 0): Promise<InstalledBuild> => {
    const name = nameOf(ref)
    const started = underWay.get(name) ?? installOne(ref, signal, depth).finally(() => underWay.delete(name))
    underWay.set(name, started)
    return started
  }

  return {
    find: (ref: BuildRef): Promise<InstalledBuild | undefined> => find(ref),
    install: (ref: BuildRef, signal: AbortSignal): Promise<InstalledBuild> => install(ref, signal),
    /** Name and version of each build that is installed, as of the last change. */
    list: (): readonly string[] => installed,
    /** Removes every build that none of these needs, and what a killed agent left half-made. Not while one is installed. */
    sweep: async (needed: readonly BuildRef[]): Promise<void> => {
      if (underWay.size > 0) return
      const kept = new Set<string>()
      const keep = async (ref: BuildRef, depth: number): Promise<void> => {
        kept.add(nameOf(ref))
        const statement = depth > requiresDepthMax ? undefined : await findStatement(ref)
        for (const required of statement?.requires ?? []) await keep(required, depth + 1)
      }
      for (const ref of needed) await keep(ref, 0)
      for (const entry of await readdir(folder)) {
        if (kept.has(entry.replace(/\.json$/, ''))) continue
        if (underWay.size > 0) return
        statements.delete(entry.replace(/\.json$/, ''))
        await rm(join(folder, entry), { recursive: true, force: true })
      }
      installed = await listInstalled()
    }
  }
}

const nameOf = ({ name, version, digest }: BuildRef): string => `${name}-${version}-${digest.slice(0, 12)}`

/** Every pool may read and run a build, nobody but us may write it; on disk for good before it is used. */
const openToAll = async (folder: string): Promise<void> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  await mapBounded(entries, syncsMax, async (entry) => {
    const path = join(entry.parentPath, entry.name)
    const { mode } = await stat(path)
    await chmod(path, entry.isDirectory() || (mode & 0o100) !== 0 ? 0o755 : 0o644)
    if (entry.isFile()) await syncPath(path)
  })
}
