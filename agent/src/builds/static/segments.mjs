/**
 * The names that a request's path leads through, below `prefix`. Nothing for a path that no file can have: one that climbs,
 * that hides a separator, or that goes to a hidden name (all but `.well-known`, which is there to be asked for).
 */
export const findSegments = (rawPath, prefix) => {
  let path
  try {
    path = decodeURIComponent(rawPath)
  } catch {
    return undefined
  }
  if (prefix !== '' && path !== prefix && !path.startsWith(`${prefix}/`)) return undefined
  const rest = path.slice(prefix.length)
  const segments = rest.split('/').filter((segment) => segment !== '')
  if (/%2f/i.test(rawPath) || segments.some(isForbidden)) return undefined
  return { segments, endsInSlash: rest.endsWith('/') }
}

const isForbidden = (segment) =>
  (segment.startsWith('.') && segment !== '.well-known') || segment.includes('\\') || segment.includes('\0')
