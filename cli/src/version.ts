import type { ApiClient } from './client.ts'
import { CliError, exitCodes } from './errors.ts'
import type { Output } from './output.ts'

/** Refuses to go on below the API's minimum; below its latest it says so in one line and goes on. */
export const checkVersion = async (client: ApiClient, own: string, output: Output): Promise<void> => {
  const { cli } = await client.about()
  if (isOlder(own, cli.minimum))
    throw new CliError(
      'outdated',
      `berth ${own} is too old for this API, which needs ${cli.minimum} or later; nothing was done: update berth`,
      exitCodes.outdated
    )
  if (isOlder(own, cli.latest)) output.warning('outdated', `berth ${own} is outdated: ${cli.latest} is available`)
}

/** Whether version `a` comes before `b` (semantic versioning; a pre-release comes before its release). */
export const isOlder = (a: string, b: string): boolean => {
  const [left, right] = [partsOf(a), partsOf(b)]
  for (const [index, number] of left.numbers.entries()) {
    const other = right.numbers[index] ?? 0
    if (number !== other) return number < other
  }
  if (left.pre === right.pre) return false
  if (left.pre === '' || right.pre === '') return right.pre === ''
  return left.pre.localeCompare(right.pre, 'en', { numeric: true }) < 0
}

const partsOf = (version: string) => {
  const [core = '', pre = ''] = version.split('+', 1).join('').split(/-(.*)/s, 2)
  return { numbers: [0, 1, 2].map((index) => Number(core.split('.')[index]) || 0), pre }
}
