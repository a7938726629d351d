import type { Fleet, FleetList, FleetMember } from '@berth/shared/api/fleets'
import { type Caller, change } from '../platform/change.ts'
import { type Db, inTransaction, type Tx } from '../platform/database.ts'
import { notFound } from '../platform/errors.ts'
import * as store from './store.ts'

/** Fleets are the provisioner's; operators read them here. */
export const fleetService = ({ db }: { readonly db: Db }) => ({
  /** An operator's word that a fleet's head is lost for good: the writer goes on past every number that servers may know. */
  sayHeadLost: (caller: Caller, id: string): Promise<Fleet> =>
    change(db, caller, undefined, async (tx) => {
      const row = await store.findFleet(tx, id)
      if (!row) throw notFound()
      await store.sayHeadLost(tx, id)
      const [answer] = await presentAll(tx, [{ ...row, headLostAtGeneration: row.generation }])
      if (!answer) throw notFound()
      return { object: `fleet/${id}`, answer, detail: { generation: row.generation } }
    }),

  list: (): Promise<FleetList> => inTransaction(db, async (tx) => ({ items: await presentAll(tx, await store.listFleets(tx)) })),

  get: (id: string): Promise<Fleet> =>
    inTransaction(db, async (tx) => {
      const row = await store.findFleet(tx, id)
      const [fleet] = row ? await presentAll(tx, [row]) : []
      if (!fleet) throw notFound()
      return fleet
    })
})
export type FleetService = ReturnType<typeof fleetService>

const presentAll = async (tx: Tx, rows: readonly store.FleetRow[]): Promise<Fleet[]> => {
  const servers = await store.listServers(
    tx,
    rows.map(({ id }) => id)
  )
  const fleets: Fleet[] = []
  for (const row of rows) {
    const reports = await store.listReports(tx, row.id)
    const members = servers.filter(({ fleetId }) => fleetId === row.id)
    fleets.push(
      present(
        row,
        members.map((member) => presentMember(member, reports))
      )
    )
  }
  return fleets
}

const present = ({ createdAt: _, headLostAtGeneration, ...row }: store.FleetRow, members: FleetMember[]): Fleet => ({
  ...row,
  name: row.id,
  headLost: headLostAtGeneration === row.generation,
  members
})

const presentMember = ({ server, zone, state }: store.ServerRow, reports: readonly store.ServerReport[]): FleetMember => {
  const report = reports.find((candidate) => candidate.server === server)
  return {
    server,
    zone,
    state,
    ...(report && { ready: report.ready, generation: report.generation, reportedAt: report.reportedAt.toISOString() })
  }
}
