import { and, asc, eq } from 'drizzle-orm'
import { accounts } from '../accounts/schema.ts'
import { applications } from '../applications/schema.ts'
import type { Tx } from '../platform/database.ts'
import { listMax } from '../platform/lists.ts'
import { sites } from '../sites/schema.ts'
import { deployments } from './schema.ts'

export type DeploymentRow = typeof deployments.$inferSelect

export const listDeployments = (tx: Tx): Promise<DeploymentRow[]> =>
  tx.select().from(deployments).orderBy(asc(deployments.createdAt), asc(deployments.id)).limit(listMax)

export const findDeployment = async (tx: Tx, id: string): Promise<DeploymentRow | undefined> => {
  const [row] = await tx.select().from(deployments).where(eq(deployments.id, id))
  return row
}

/** Found, and nobody else's to change until this transaction ends: acts on one deployment come one after another. */
export const lockDeployment = async (tx: Tx, id: string): Promise<DeploymentRow | undefined> => {
  const [row] = await tx.select().from(deployments).where(eq(deployments.id, id)).for('update')
  return row
}

export const hasRoot = async (tx: Tx, siteId: string): Promise<boolean> => {
  const rows = await tx
    .select({ id: deployments.id })
    .from(deployments)
    .where(and(eq(deployments.siteId, siteId), eq(deployments.path, '/')))
  return rows.length > 0
}

/** Answers nothing when the account has a deployment of this name; a path that is taken violates `deployments_path`. */
export const insertDeployment = async (tx: Tx, row: typeof deployments.$inferInsert): Promise<DeploymentRow | undefined> => {
  const [inserted] = await tx
    .insert(deployments)
    .values(row)
    .onConflictDoNothing({ target: [deployments.accountId, deployments.name] })
    .returning()
  return inserted
}

export const updateDeployment = async (
  tx: Tx,
  id: string,
  changes: Partial<Pick<DeploymentRow, 'status' | 'settings' | 'probe' | 'pool' | 'keepWarm' | 'bakeSeconds'>>
): Promise<DeploymentRow | undefined> => {
  const [row] = await tx.update(deployments).set(changes).where(eq(deployments.id, id)).returning()
  return row
}

/** Whether what a deployment hangs off is active. */
export const statusesAbove = async (tx: Tx, { applicationId, siteId, accountId }: DeploymentRow) => {
  const [row] = await tx
    .select({ application: applications.status, site: sites.status, account: accounts.status })
    .from(applications)
    .innerJoin(sites, eq(sites.id, siteId))
    .innerJoin(accounts, eq(accounts.id, accountId))
    .where(eq(applications.id, applicationId))
  return row
}
