/** One line of the bench's table. A figure without an aim is there to be read beside others. */
export type Row = {
  readonly what: string
  readonly figure: string
  readonly aim?: string
  readonly met?: boolean
  /** Why there is no figure: a row that could not be measured is printed, and fails the bench. */
  readonly missing?: string
}

/** The smallest value that at least `share` of the values do not exceed (nearest rank), so that it is one that was measured. */
export const percentile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
  if (value === undefined) throw new Error('no values, so no percentile')
  return value
}

export const median = (values: readonly number[]): number => percentile(values, 0.5)

/** A measured time against its aim. */
export const timeRow = (what: string, ms: number, aimMs?: number): Row => ({
  what,
  figure: seconds(ms),
  ...(aimMs === undefined ? {} : { aim: `≤ ${seconds(aimMs)}`, met: ms <= aimMs })
})

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`

/** The table as text, one line a row. */
export const tableOf = (rows: readonly Row[]): string => {
  const cells = rows.map((row) => [
    row.what,
    row.missing === undefined ? row.figure : 'not measured',
    row.aim ?? '',
    row.missing ?? (row.met === undefined ? '' : row.met ? 'met' : 'MISSED')
  ])
  const all = [['', 'figure', 'aim', ''], ...cells]
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((line) => line[column]?.length ?? 0)))
  return all
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}
