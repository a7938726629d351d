import { posix } from 'node:path'
import type { VersionKind } from '@berth/shared/api/versions'

const scripts = ['server.js', 'server.mjs']
/** Beside an `index.html` these are a browser's. */
const ambiguousScripts = ['index.js', 'index.mjs']

/** The one file whose content has a say in what a version is. */
export const packageFile = 'package.json'

/** Whether a version is an application with a script to start, or files to be shown; the `node` build finds its entry by the same names. */
export const kindOf = (paths: ReadonlySet<string>, packageJson: Uint8Array | undefined): VersionKind => {
  if (scripts.some((path) => paths.has(path))) return 'node'
  if (paths.has('index.html')) return 'static'
  if (ambiguousScripts.some((path) => paths.has(path))) return 'node'
  const main = packageJson && mainOf(packageJson)
  return main !== undefined && paths.has(main) ? 'node' : 'static'
}

const mainOf = (packageJson: Uint8Array): string | undefined => {
  try {
    const value: unknown = JSON.parse(Buffer.from(packageJson).toString('utf8'))
    const main = typeof value === 'object' && value !== null && 'main' in value ? value.main : undefined
    return typeof main === 'string' ? posix.normalize(main) : undefined
  } catch {
    return undefined
  }
}
