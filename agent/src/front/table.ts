import { Digest, HostName, SitePath, Uuid } from '@berth/shared/fields'
import { jsonParser, parser } from '@berth/shared/parse'
import { Type } from 'typebox'
import type { FrontRoute, FrontTable } from '../host/host.ts'

const Upstream = Type.Object(
  { host: Type.String({ minLength: 1, maxLength: 64 }), port: Type.Integer({ minimum: 1, maximum: 65_535 }) },
  { additionalProperties: false }
)
const Route = Type.Object(
  {
    hostNames: Type.Array(HostName, { maxItems: 64 }),
    path: SitePath,
    deployment: Uuid,
    release: Digest,
    upstreams: Type.Array(Upstream, { maxItems: 64 }),
    queueLength: Type.Integer({ minimum: 1, maximum: 65_535 }),
    failed: Type.Optional(Type.Boolean())
  },
  { additionalProperties: false }
)
const Table = Type.Object(
  {
    generation: Type.Integer({ minimum: 0 }),
    ready: Type.Boolean(),
    routes: Type.Array(Route, { maxItems: 10_000 })
  },
  { additionalProperties: false }
)

/** How a table enters a process: from the control socket as a value, from disk as text. */
export const parseTable: (value: unknown) => FrontTable = parser(Table, 'a routing table', 'bad_table')
export const parseTableText: (text: string) => FrontTable = jsonParser(Table, 'a routing table', 'bad_table')

/** A host name's routes, the longest path first. */
export type Routes<T> = ReadonlyMap<string, readonly { readonly prefix: string; readonly value: T }[]>

/** Arranges routes so that finding one takes a look at a map and at the paths of one host name. */
export const arrangeRoutes = <T>(routes: readonly FrontRoute[], toValue: (route: FrontRoute) => T): Routes<T> => {
  const arranged = new Map<string, { prefix: string; value: T }[]>()
  for (const route of routes) {
    const value = toValue(route)
    for (const hostName of route.hostNames) {
      const paths = arranged.get(hostName) ?? []
      paths.push({ prefix: route.path === '/' ? '' : route.path, value })
      arranged.set(hostName, paths)
    }
  }
  for (const paths of arranged.values()) paths.sort((a, b) => b.prefix.length - a.prefix.length)
  return arranged
}

/** The route of the longest path that is `path` or ends in it at a segment's border. */
export const findRoute = <T>(routes: Routes<T>, hostName: string, path: string): T | undefined =>
  routes
    .get(hostName)
    ?.find(({ prefix }) => path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/'))?.value
