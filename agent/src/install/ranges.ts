import type { PackagePiece } from '@berth/shared/release'

/** Neighbours are read in one go up to this size; a single larger piece is read alone. */
const rangeBytesMax = 4 * 1024 * 1024
/** Reading over a gap of this size costs less than another request. */
const gapBytesMax = 64 * 1024

/** One ranged read of one copy of a pack, and the pieces that lie in it. `end` is included. */
export type PackRange = {
  readonly pack: string
  readonly incarnation: number
  readonly start: number
  readonly end: number
  readonly pieces: readonly PackagePiece[]
}

/** The fewest reads of bounded size that cover all pieces. */
export const rangesOf = (pieces: readonly PackagePiece[]): PackRange[] => {
  const ranges: (Omit<PackRange, 'end' | 'pieces'> & { end: number; readonly pieces: PackagePiece[] })[] = []
  for (const piece of [...pieces].sort(byPlace)) {
    const last = ranges.at(-1)
    const end = piece.offset + piece.length - 1
    if (last && isNeighbour(last, piece, end)) {
      last.end = Math.max(last.end, end)
      last.pieces.push(piece)
    } else ranges.push({ pack: piece.pack, incarnation: piece.incarnation, start: piece.offset, end, pieces: [piece] })
  }
  return ranges
}

const isNeighbour = (range: PackRange, piece: PackagePiece, end: number): boolean =>
  range.pack === piece.pack &&
  range.incarnation === piece.incarnation &&
  piece.offset - range.end - 1 <= gapBytesMax &&
  end - range.start + 1 <= rangeBytesMax

const byPlace = (one: PackagePiece, other: PackagePiece): number =>
  one.pack < other.pack ? -1 : one.pack > other.pack ? 1 : one.incarnation - other.incarnation || one.offset - other.offset
