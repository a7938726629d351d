/** Where a request wants to go. */
export type Target = {
  /** The Host header as it is passed on. */
  readonly hostHeader: string
  /** Lower case, without port and trailing dot. */
  readonly hostName: string
  /** Path and query exactly as sent. */
  readonly url: string
  /** The path as the most generous application could read it; only routing sees it. */
  readonly path: string
}

const hostPattern = /^([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)\.?(?::[0-9]{1,5})?$/
const absoluteForm = /^https?:\/\/([^/?#]*)(.*)$/i

/**
 * Reads where a request wants to go; nothing when it says so in no clear way. Exactly one Host header is allowed: whatever
 * stands between, all of us must read the same one. A target in absolute form outweighs it, as HTTP demands.
 */
export const readTarget = (requestTarget: string, rawHeaders: readonly string[]): Target | undefined => {
  let hostHeader: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() !== 'host') continue
    if (hostHeader !== undefined) return undefined
    hostHeader = rawHeaders[index + 1]
  }
  if (requestTarget.startsWith('/')) return targetOf(hostHeader, requestTarget)
  const [, authority, rest = ''] = absoluteForm.exec(requestTarget) ?? []
  return targetOf(authority, rest.startsWith('/') ? rest : `/${rest}`)
}

const targetOf = (hostHeader: string | undefined, url: string): Target | undefined => {
  const hostName = hostHeader === undefined ? undefined : hostPattern.exec(hostHeader)?.[1]?.toLowerCase()
  if (hostHeader === undefined || hostName === undefined) return undefined
  return { hostHeader, hostName, url, path: routingPath(url) }
}

const needsWork = /%|\\|\/\.|\/\//

/**
 * The path with everything undone that an application may undo later: escapes, backslashes, doubled slashes, `.` and `..`.
 * Without it `/x/../.berth` or `/%61pi` would be routed as one thing and served as another.
 */
export const routingPath = (url: string): string => {
  const end = url.search(/[?#]/)
  const path = end === -1 ? url : url.slice(0, end)
  if (!needsWork.test(path)) return path
  const decoded = path
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll('\\', '/')
  const segments: string[] = []
  for (const segment of decoded.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(segment)
  }
  return `/${segments.join('/')}`
}

/** Whether a path is the platform's own: none of these ever reaches an application. */
export const isReserved = (path: string): boolean => /^\/\.berth(\/|$)/i.test(path)
