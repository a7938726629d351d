import type { BuildChoice } from '@berth/shared/api/builds'
import type { VersionKind } from '@berth/shared/api/versions'
import { and, eq } from 'drizzle-orm'
import type { Tx } from '../platform/database.ts'
import { newestFirst } from './rules.ts'
import { builds } from './schema.ts'

/**
 * The build that a version runs on: the one that was chosen, or the newest offered one that fits what the version is. Only those of
 * the servers' platform can be: others would be refused by every server, after the deployment was promised.
 */
export const findBuild = async (tx: Tx, platform: string, kind: VersionKind, choice?: BuildChoice) => {
  const chosen = choice?.version === undefined ? [] : [eq(builds.version, choice.version)]
  const fitting = await tx
    .select()
    .from(builds)
    .where(and(eq(builds.name, choice?.name ?? kind), eq(builds.platform, platform), eq(builds.status, 'offered'), ...chosen))
  return fitting.toSorted(newestFirst)[0]
}
