/** One line of text from elsewhere, safe for a terminal: names and notes are other people's and could hold escape sequences. */
export const oneLine = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this replaces
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd')

/** Columns under their titles, two blanks between; the last column may be as long as it likes. */
export const table = (titles: readonly string[], rows: readonly (readonly string[])[]): string => {
  const lines = [titles, ...rows].map((cells) => cells.map(oneLine))
  const widths = titles.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)))
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}

/** 1 file, 2 files. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** 12.3 MB: powers of ten, as disks and networks count. */
export const byteText = (bytes: number): string => {
  const power = Math.min(units.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1000 ** power
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}

/** 4.1 MB/s. */
export const rateText = (bytes: number, elapsedMs: number): string =>
  `${byteText(elapsedMs > 0 ? (bytes * 1000) / elapsedMs : 0)}/s`
