import type { BuildPointer } from '@berth/shared/api/builds'

/** A build as other objects name it. */
export const pointToBuild = ({ id, name, version, platform }: BuildPointer): BuildPointer => ({ id, name, version, platform })

type Versioned = { readonly version: string }

/** Orders builds by semantic version (SemVer 11), the newest first: 24.10.0 is newer than 24.9.0, whichever was offered last. */
export const newestFirst = (a: Versioned, b: Versioned): number => {
  const [left, right] = [partsOf(b.version), partsOf(a.version)]
  const release = compareAll(left.release, right.release)
  if (release !== 0) return release
  // What is not released yet is older than what is.
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length
  return compareAll(left.pre, right.pre)
}

const partsOf = (version: string) => {
  const dash = version.indexOf('-')
  const release = dash < 0 ? version : version.slice(0, dash)
  return { release: release.split('.'), pre: dash < 0 ? [] : version.slice(dash + 1).split('.') }
}

const compareAll = (left: readonly string[], right: readonly string[]): number => {
  for (const [index, part] of left.entries()) {
    const other = right[index]
    if (other === undefined) return 1
    const order = comparePart(part, other)
    if (order !== 0) return order
  }
  return left.length - right.length
}

/** Numbers by their value, before words; words by their characters. */
const comparePart = (left: string, right: string): number => {
  const isNumber = [left, right].map((part) => /^\d+$/.test(part))
  if (isNumber[0] && isNumber[1]) return Number(BigInt(left) - BigInt(right))
  if (isNumber[0] !== isNumber[1]) return isNumber[0] ? -1 : 1
  return left < right ? -1 : Number(left > right)
}
