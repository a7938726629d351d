import { systemClock } from '@berth/shared/clock'
import { desc, eq } from 'drizzle-orm'
import { deployments } from '../deployments/schema.ts'
import { operations } from '../operations/schema.ts'
import { firstStep, supersedeOpen } from '../operations/steps.ts'
import { hint, inTransaction } from '../platform/database.ts'
import { releases } from '../releases/schema.ts'
import { makeSealer } from '../sealer/sealer.ts'
import { makeWriter, type WriterDeps } from '../writer/writer.ts'
import { type Cell, must, publicationOf, putBuild, putFleet, putTenant, sendUpload, type Tenant } from './cell.ts'
import { type Fares, faresWell, readDesired, report } from './reporting-server.ts'

/** Everything that carries operations on in a cell: a real sealer, real writers, and servers that report. */
export const stageIn = (cell: Cell) => {
  const { owner, objects, keys } = cell
  const db = cell.dbOf('berth_writer')
  const sealerDb = cell.dbOf('berth_sealer')
  const noHints = async () => undefined

  const makeTestWriter = (more: Partial<WriterDeps> = {}) =>
    makeWriter({ db, hints: noHints, objects, keys, clock: systemClock, log: () => undefined, ...more })
  const sealer = makeSealer({
    db: sealerDb,
    hints: noHints,
    objects,
    keys,
    clock: systemClock,
    log: () => undefined,
    limits: { filesMax: 20, bytesMax: 100_000 },
    platform: 'linux-x64'
  })

  const findDeployment = async ({ deployment }: Tenant) =>
    must((await owner.select().from(deployments).where(eq(deployments.id, deployment)))[0])
  const lastOperation = async ({ deployment }: Tenant) => {
    const rows = await owner
      .select()
      .from(operations)
      .where(eq(operations.deploymentId, deployment))
      .orderBy(desc(operations.createdAt))
    return must(rows[0])
  }
  const releaseOf = async (id: string | null) =>
    must(
      (
        await owner
          .select()
          .from(releases)
          .where(eq(releases.id, must(id)))
      )[0]
    )

  /** A fleet of two servers, a tenant on it, and everything that carries its operations on. */
  const stage = async () => {
    const fleet = await putFleet(cell, ['s-1', 's-2'])
    const tenant = await putTenant(cell, { region: fleet })
    await putBuild(cell)
    const writer = makeTestWriter()
    const deploy = async (text: string) => {
      await sendUpload(cell, tenant, {
        ...publicationOf(tenant, { 'server.js': text }),
        deploy: { deployment: tenant.deployment }
      })
      await sealer.pass()
    }
    const servers = async (fares: Fares = faresWell) => {
      for (const server of ['s-1', 's-2']) await report(objects, fleet, server, fares)
    }
    /** Lets servers and writer take turns until nothing is open. */
    const settle = async (fares: Fares = faresWell) => {
      for (let turn = 0; turn < 6; turn++) {
        await writer.pass()
        await servers(fares)
      }
      await writer.pass()
    }
    const desired = async () =>
      (await readDesired(objects, fleet)).deployments.find(({ deployment }) => deployment === tenant.deployment)
    const request = async (kind: 'rollback' | 'disable' | 'enable', releaseId: string | null) => {
      await inTransaction(owner, async (tx) => {
        await supersedeOpen(tx, tenant.deployment)
        const { subscription: subscriptionId, deployment: deploymentId } = tenant
        await tx.insert(operations).values({ subscriptionId, deploymentId, kind, releaseId, steps: firstStep('queued') })
        await hint(tx, 'writer')
      })
    }
    return { fleet, tenant, writer, deploy, servers, settle, desired, request }
  }

  return { db, sealer, makeTestWriter, findDeployment, lastOperation, releaseOf, stage }
}
