/** A stretch of time in which a server answered with one version. Times are milliseconds since the epoch. */
export type VersionSpan = { readonly version: string; readonly from: number; readonly until: number; readonly requests: number }

/**
 * Which version each server served, in order. A server switches in one step, so a request that began after a newer version was
 * seen there may not see the older one: it would show as one span too many. One that began before is the old pool draining.
 */
export const versionHistory = () => {
  const byServer = new Map<string, { version: string; from: number; until: number; requests: number }[]>()

  return {
    add: (server: string, version: string, startedAt: number, endedAt: number): void => {
      const spans = byServer.get(server) ?? []
      byServer.set(server, spans)
      const span = spans.findLast((candidate, index) => {
        const next = spans[index + 1]
        return candidate.version === version && (!next || startedAt <= next.from)
      })
      if (!span) return void spans.push({ version, from: endedAt, until: endedAt, requests: 1 })
      span.until = Math.max(span.until, endedAt)
      span.requests++
    },
    spans: (): Readonly<Record<string, readonly VersionSpan[]>> =>
      Object.fromEntries([...byServer].map(([server, spans]) => [server, spans.map((span) => ({ ...span }))]))
  }
}
