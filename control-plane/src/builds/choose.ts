import type { BuildChoice } from '@berth/shared/api/builds'
import type { VersionKind } from '@berth/shared/api/versions'
import { and, desc, eq } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { builds } from './schema.ts'

/** The build that a version runs on: the one that was chosen, or the newest offered one that fits what the version is. */
export const findBuild = async (tx: Tx, kind: VersionKind, choice?: BuildChoice) => {
  const chosen = choice?.version === undefined ? [] : [eq(builds.version, choice.version)]
  const [build] = await tx
    .select()
    .from(builds)
    .where(and(eq(builds.name, choice?.name ?? kind), eq(builds.status, 'offered'), ...chosen))
    .orderBy(desc(builds.createdAt), desc(builds.id))
    .limit(1)
  return build
}
