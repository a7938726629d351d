import type { BigIntStats } from 'node:fs'
import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { checkPaths } from '@berth/shared/paths'
import { Refusal } from '@berth/shared/refusal'

/** What tells one state of a file from another without reading it. */
export type FileState = { readonly device: bigint; readonly inode: bigint; readonly size: bigint; readonly modified: bigint }

/** A file that will be published: `path` as the manifest names it, `location` where it lies on this disk. */
export type FoundFile = {
  readonly path: string
  readonly location: string
  readonly size: number
  readonly executable: boolean
  readonly state: FileState
}

export type FolderLimits = { readonly filesMax: number; readonly bytesMax: number }

/** What a walk found. `leftOut` counts the links in `node_modules/.bin`, which npm makes for a developer's shell only. */
export type FoundFolder = {
  readonly root: string
  readonly files: readonly FoundFile[]
  readonly bytes: number
  readonly leftOut: number
}

/** Never published: they belong to the developer's machine, not to the application. */
const ignoredNames: ReadonlySet<string> = new Set(['.git', '.berth', '.DS_Store'])

/**
 * Finds every file below `folder`, by path in ascending order of UTF-16 code units. Nothing is read but names and sizes.
 * Refuses links, special files, names that some server could not hold, and more than the limits.
 */
export const walkFolder = async (folder: string, limits: FolderLimits): Promise<FoundFolder> => {
  const root = await rootOf(folder)
  const files: FoundFile[] = []
  let bytes = 0
  let leftOut = 0

  const visit = async (folderPath: string, location: string): Promise<void> => {
    const entries = await readdir(location, { withFileTypes: true })
    for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (ignoredNames.has(name)) continue
      const place = join(location, name)
      const path = `${folderPath}${nameOnServers(name, place)}`
      const found = await lstat(place, { bigint: true })
      if (found.isDirectory()) {
        await visit(`${path}/`, place)
        continue
      }
      if (found.isSymbolicLink()) {
        if (!isShellLink(folderPath)) throw await linkRefusal(root, path, place)
        leftOut++
        continue
      }
      if (!found.isFile()) throw new Refusal('special_file', `${path} is ${kindOf(found)}, not a file; leave it out`)

      files.push(foundFile(path, place, found))
      bytes += Number(found.size)
      checkLimits(files.length, bytes, limits)
    }
  }
  await visit('', root)

  files.sort((a, b) => (a.path < b.path ? -1 : 1))
  checkPaths(files.map(({ path }) => path))
  return { root, files, bytes, leftOut }
}

/** Refuses more files or bytes than may be published, and says how many may. */
export const checkLimits = (files: number, bytes: number, { filesMax, bytesMax }: FolderLimits): void => {
  if (files > filesMax)
    throw new Refusal('too_many_files', `the folder holds more than ${filesMax} files, which is the most; nothing was published`)
  if (bytes > bytesMax)
    throw new Refusal('too_large', `the folder holds more than ${bytesMax} bytes, which is the most; nothing was published`)
}

export const stateOf = (stats: BigIntStats): FileState => ({
  device: stats.dev,
  inode: stats.ino,
  size: stats.size,
  modified: stats.mtimeNs
})

/** The folder itself may be named by a link: it was the user who named it. */
const rootOf = async (folder: string): Promise<string> => {
  const found = await stat(folder).catch((cause: unknown) => {
    throw new Refusal('no_folder', `there is no folder ${folder}`, { cause })
  })
  if (!found.isDirectory())
    throw new Refusal('no_folder', `${folder} is not a folder; name the folder that holds the application`)
  return realpath(folder)
}

/** The name in Unicode's form C, as manifests have it: some systems hand out form D. */
const nameOnServers = (name: string, place: string): string => {
  if (!name.isWellFormed() || name.includes('\ufffd'))
    throw new Refusal('bad_path', `the name of ${JSON.stringify(place)} is not valid Unicode; rename it or leave it out`)
  return name.normalize('NFC')
}

const isShellLink = (folderPath: string): boolean =>
  folderPath === 'node_modules/.bin/' || folderPath.endsWith('/node_modules/.bin/')

const linkRefusal = async (root: string, path: string, place: string): Promise<Refusal> => {
  const target = await readlink(place)
  const fromRoot = relative(root, resolve(dirname(place), target))
  const isOutside = fromRoot === '..' || fromRoot.startsWith(`..${sep}`) || isAbsolute(fromRoot)
  return isOutside
    ? new Refusal(
        'link_out_of_folder',
        `${path} is a link out of the folder, to ${target}; put the file itself there or leave it out`
      )
    : new Refusal('link', `${path} is a link, to ${target}; links are not published: put the file itself there or leave it out`)
}

const kindOf = (found: BigIntStats): string => {
  if (found.isFIFO()) return 'a pipe'
  if (found.isSocket()) return 'a socket'
  return 'a device'
}

const foundFile = (path: string, location: string, found: BigIntStats): FoundFile => ({
  path,
  location,
  size: Number(found.size),
  executable: (found.mode & 0o100n) !== 0n,
  state: stateOf(found)
})
