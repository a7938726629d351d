import { Refusal } from './refusal.ts'

const pathBytesMax = 1024
const segmentBytesMax = 255

/** Names that Windows gives to devices in every folder, whatever the ending (docs: "Naming Files, Paths, and Namespaces"). */
const deviceName = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)$/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
const forbiddenCharacters = /[\u0000-\u001f\u007f<>:"|?*\\]/

/**
 * Refuses a path that could leave its folder, or that one of the systems we serve reads as something other than a plain
 * file (`bad_path`). Paths are relative, `/`-separated and in Unicode's form C.
 */
export const checkPath = (path: string): void => {
  const refuse = (why: string): never => {
    throw new Refusal('bad_path', `the path ${JSON.stringify(path)} ${why}; rename it or leave it out`)
  }
  if (path === '') refuse('is empty')
  if (Buffer.byteLength(path) > pathBytesMax) refuse(`is longer than ${pathBytesMax} bytes`)
  if (path.startsWith('/') || /^[a-z]:/i.test(path) || path.startsWith('\\')) refuse('is absolute')
  if (!path.isWellFormed() || path.normalize('NFC') !== path) refuse('is not in Unicode form C')

  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.' || segment === '..') refuse('has an empty part, or one that is . or ..')
    if (Buffer.byteLength(segment) > segmentBytesMax) refuse(`has a part longer than ${segmentBytesMax} bytes`)
    if (segment.includes(':')) refuse('names a stream of a file (:)')
    if (forbiddenCharacters.test(segment)) refuse('has a character that some file system forbids')
    if (/[. ]$/.test(segment)) refuse('has a part that ends with a dot or a blank')
    if (deviceName.test(stemOf(segment))) refuse('names a device of Windows')
  }
  if (foldCase(path.split('/')[0] ?? '') === '.berth') refuse('lies in .berth, which is the platform’s own')
}

/**
 * Checks all paths of one version together: each by itself, none twice, none that another equals when case is ignored
 * (half of the file systems in use ignore it), no file where another needs a folder, and at least one.
 */
export const checkPaths = (paths: readonly string[]): void => {
  if (paths.length === 0) throw new Refusal('no_files', 'there is no file to publish; name a folder that holds some')
  const files = new Map<string, string>()
  for (const path of paths) {
    checkPath(path)
    const folded = foldCase(path)
    const other = files.get(folded)
    if (other !== undefined)
      throw new Refusal(
        'path_collision',
        `the paths ${JSON.stringify(other)} and ${JSON.stringify(path)} are the same where case is ignored; rename one`
      )
    files.set(folded, path)
  }
  checkFolders(files)
}

/** A folder's name must fold to one spelling, and must not be a file's. */
const checkFolders = (files: ReadonlyMap<string, string>): void => {
  const folders = new Map<string, string>()
  for (const path of files.values()) {
    const segments = path.split('/')
    for (let depth = 1; depth < segments.length; depth++) {
      const folder = segments.slice(0, depth).join('/')
      const folded = foldCase(folder)
      const clash = files.get(folded) ?? folders.get(folded) ?? folder
      if (clash !== folder || files.has(folded))
        throw new Refusal(
          'path_collision',
          `${JSON.stringify(clash)} and the folder of ${JSON.stringify(path)} collide; rename one`
        )
      folders.set(folded, folder)
    }
  }
}

const stemOf = (segment: string): string => (segment.split('.')[0] ?? '').replace(/ +$/, '')

/** Upper case first: `ß` and `ẞ`, `ı` and `i` and their like fold as file systems fold them. */
const foldCase = (text: string): string => text.toUpperCase().toLowerCase().normalize('NFC')
