/** An item as far as time goes. */
export type Span = { readonly id: string; readonly startsAt: Date; readonly endsAt: Date | null }

export type Fit =
  /** `endsAt` is the wanted end, or the next item's start; the items `closes` end where this one starts. */
  | { readonly kind: 'fits'; readonly endsAt: Date | null; readonly closes: readonly string[] }
  | { readonly kind: 'overlaps'; readonly with: string }

/**
 * Fits an item among a deployment's others so that none overlap. One that starts now takes over from whatever runs; one that starts
 * later takes over from an item without an end. A successor's start is its predecessor's end.
 */
export const fitItem = (existing: readonly Span[], wanted: Omit<Span, 'id'>, now: Date): Fit => {
  const starts = wanted.startsAt.getTime()
  const open = existing.filter(({ endsAt }) => endsAt === null || endsAt.getTime() > starts)

  const running = open.filter(({ startsAt }) => startsAt.getTime() <= starts)
  const inTheWay = running.find(
    ({ startsAt, endsAt }) => starts > now.getTime() && (endsAt !== null || startsAt.getTime() === starts)
  )
  if (inTheWay) return { kind: 'overlaps', with: inTheWay.id }

  const [next] = open
    .filter(({ startsAt }) => startsAt.getTime() > starts)
    .toSorted((a, b) => a.startsAt.getTime() - b.startsAt.getTime())
  if (next && wanted.endsAt !== null && wanted.endsAt > next.startsAt) return { kind: 'overlaps', with: next.id }
  return { kind: 'fits', endsAt: wanted.endsAt ?? next?.startsAt ?? null, closes: running.map(({ id }) => id) }
}
