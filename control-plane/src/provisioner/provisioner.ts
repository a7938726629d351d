import type { BirthRecord } from '@berth/shared/birth'
import type { Clock } from '@berth/shared/clock'
import type { Envelope } from '@berth/shared/dsse'
import type { Keys } from '@berth/shared/keys/keys'
import { layout } from '@berth/shared/layout'
import type { Objects } from '@berth/shared/objects/objects'
import { fleetKeyName, fleetPairContext } from '@berth/shared/release'
import type { Cloud } from '../cloud/cloud.ts'
import { recordAudit } from '../platform/audit.ts'
import { type Db, hint, inTransaction } from '../platform/database.ts'
import { putOnce } from '../platform/put-once.ts'
import { type Log, runLoop, sayOnce } from '../platform/service-loop.ts'
import { readRoots } from '../trust/roots.ts'
import { type FleetRow, listFleets, listPlacedNames, recordStatus } from './store.ts'

export type ProvisionerDeps = {
  /** As `berth_provisioner`. */
  readonly db: Db
  /** Hints on the channel `berth_provisioner`. */
  readonly hints: (onHint: () => void, signal: AbortSignal) => Promise<void>
  readonly objects: Objects
  /** May make pairs under fleets' keys and never opens one. */
  readonly keys: Keys
  /** Makes the key under which a fleet's pair is wrapped, where there is none. */
  readonly makeFleetKey: (name: string) => Promise<void>
  readonly cloud: Cloud
  readonly cloudKind: BirthRecord['cloud']
  readonly clock: Clock
  readonly log: Log
}

const service = 'provisioner'
const actor = { kind: 'service', id: 'service:provisioner' } as const
const periodMs = 1000

/** Declares fleets and names to the cloud, and notes what the cloud says of them. Nothing else holds the cloud's door. */
export const makeProvisioner = ({ db, hints, objects, keys, makeFleetKey, cloud, cloudKind, clock, log }: ProvisionerDeps) => {
  const says = sayOnce({ service, log })
  /** Fleets whose key and trust were seen in the store by this process, and the size that the cloud was told. */
  const prepared = new Set<string>()
  const declared = new Map<string, number>()

  /** What was changed in the cloud, in the operators' log. */
  const record = (action: string, object: string, detail: Record<string, unknown> = {}): Promise<void> =>
    inTransaction(db, (tx) => recordAudit(tx, { actor, action, object, outcome: 'done', detail }))

  const keepFleet = async (fleet: FleetRow, roots: readonly { readonly envelope: Envelope }[]): Promise<void> => {
    if (!prepared.has(fleet.id)) {
      await putTrust(objects, fleet.id, roots)
      await putKeyPair(objects, keys, makeFleetKey, fleet.id)
      prepared.add(fleet.id)
    }
    const status = await cloud.describeFleet(fleet.id)
    if (!status || declared.get(fleet.id) !== fleet.servers) {
      await cloud.putFleet({ fleet: fleet.id, servers: fleet.servers, birth: birthOf(fleet, cloudKind, roots) })
      declared.set(fleet.id, fleet.servers)
      await record('fleets.put', `fleet/${fleet.id}`, { servers: fleet.servers })
    }
    if (!status) return
    await inTransaction(db, async (tx) => {
      if (await recordStatus(tx, fleet.id, status)) await hint(tx, 'writer')
    })
  }

  const keepNames = async (): Promise<void> => {
    const wanted = await inTransaction(db, listPlacedNames)
    const known = await cloud.listNames()
    const keep = async (host: string, action: 'names.put' | 'names.delete', act: () => Promise<void>) => {
      // One name that the cloud does not take must not keep the others.
      try {
        await act()
        await record(action, `name/${host}`)
        says.well(`name ${host}`)
      } catch (error) {
        says.failed(`name ${host}`, error)
      }
    }
    for (const [host, fleet] of wanted) if (known[host] !== fleet) await keep(host, 'names.put', () => cloud.putName(host, fleet))
    for (const host of Object.keys(known)) if (!wanted.has(host)) await keep(host, 'names.delete', () => cloud.deleteName(host))
  }

  const pass = async (): Promise<void> => {
    const fleets = await inTransaction(db, listFleets)
    const roots = await readRoots(objects)
    for (const fleet of fleets) {
      const what = `fleet ${fleet.id}`
      try {
        await keepFleet(fleet, roots)
        says.well(what)
      } catch (error) {
        says.failed(what, error)
      }
    }
    await keepNames()
  }

  return {
    pass,
    run: (signal: AbortSignal): Promise<void> => runLoop({ service, pass, hints, periodMs: () => periodMs, clock, log }, signal)
  }
}

const birthOf = (
  fleet: FleetRow,
  cloud: BirthRecord['cloud'],
  roots: readonly { readonly envelope: Envelope }[]
): BirthRecord => {
  const newest = roots.at(-1)
  if (!newest) throw new Error('readRoots answers at least one')
  return { format: 1, fleet: fleet.id, cell: fleet.cell, cloud, tenancy: fleet.tenancy, root: newest.envelope }
}

const putTrust = async (objects: Objects, fleet: string, roots: readonly { readonly envelope: Envelope }[]): Promise<void> => {
  for (const [index, { envelope }] of roots.entries())
    await putOnce(objects, layout.fleetRoot(fleet, index + 1), Buffer.from(JSON.stringify(envelope)))
}

/** The fleet's pair: its public half, and the private half that only its servers have opened. An existing one is kept. */
const putKeyPair = async (
  objects: Objects,
  keys: Keys,
  makeFleetKey: (name: string) => Promise<void>,
  fleet: string
): Promise<void> => {
  await makeFleetKey(fleetKeyName(fleet))
  if (await objects.head(layout.fleetKey(fleet))) return
  const { publicKey, wrapped } = await keys.keyPair(fleetKeyName(fleet), fleetPairContext(fleet))
  await putOnce(
    objects,
    layout.fleetKey(fleet),
    Buffer.from(JSON.stringify({ publicKey, wrapped: Buffer.from(wrapped).toString('base64') }))
  )
}
