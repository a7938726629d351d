import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { sha256Hex } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import { type Head, parseDesiredIndex, parseHead } from '@berth/shared/desired'
import { type Signer, signEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import { getBytes, getIfChanged } from '@berth/shared/objects/bytes'
import { isObjectsError, type Objects } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'
import { openStatement, type Root } from '@berth/shared/trust'
import { type Body, type FleetRows, render } from '../desired/render.ts'
import { type Base, needsSigning, newSites, nextHead, validityMsDefault } from './rules.ts'

/** One repeatable-read look at everything that a fleet's body is made of. */
export type FleetSnapshot = {
  readonly revision: number
  readonly generation: number
  readonly headLost: boolean
  readonly rows: FleetRows
}

export type HeadWriterDeps = {
  readonly objects: Objects
  readonly signer: Signer
  /** The newest root. */
  readonly root: () => Promise<Root>
  readonly snapshot: (fleet: string) => Promise<FleetSnapshot | undefined>
  /** Notes the generation in the fleet's row: for the day on which its head is lost. */
  readonly record: (fleet: string, generation: number) => Promise<void>
  readonly clock: Clock
  /** How long a head is believed by servers that hold a state; a day when nothing is said. */
  readonly validityMs?: number | undefined
}

/** How often one call starts over because another writer was quicker. */
const triesMax = 20
const indexBytesMax = 64 * 1024 * 1024
const headBytesMax = 64 * 1024

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/**
 * Writes heads by the architecture's protocol: the base is a head that was read or written *before* the snapshot, and it is put
 * with `If-Match`. So whoever succeeds has seen at least the revision that it replaces, however long it was held up in between.
 */
export const makeHeadWriter = ({
  objects,
  signer,
  root,
  snapshot,
  record,
  clock,
  validityMs = validityMsDefault
}: HeadWriterDeps) => {
  /** What this writer wrote or read last: saves the read, never the check. */
  const bases = new Map<string, Base>()

  const write = async (fleet: string): Promise<Head | undefined> => {
    for (let tries = 1; tries <= triesMax; tries++) {
      const base = bases.get(fleet) ?? (await readBase(fleet))
      const seen = await snapshot(fleet)
      if (!seen) return undefined
      if (!base && seen.generation > 0) {
        // Another writer may have put the first head after we looked; if it is truly gone, `nextHead` refuses.
        const late = await readBase(fleet)
        if (late) bases.set(fleet, late)
        if (late) continue
      }
      const body = render(seen.rows)
      const { number } = await root()
      const head = nextHead(base, {
        validityMs,
        fleet,
        revision: seen.revision,
        recorded: seen.generation,
        headLost: seen.headLost,
        body,
        root: number,
        now: clock.now()
      })
      if (!head) {
        if (base) bases.set(fleet, base)
        // A head that was put by somebody who could not say so any more.
        if (base && seen.generation < base.head.generation) await note(fleet, base.head.generation)
        return undefined
      }

      if (base?.sites === undefined || base.head.digest !== body.index.digest) await putBody(fleet, base, body)
      const written = await swap(fleet, base, head, body)
      if (!written) continue
      await note(fleet, head.generation)
      return head
    }
    throw new Error(`fleet ${fleet}: other writers were quicker ${triesMax} times; nothing was written by this one`)
  }

  /** Until the row says it, the head counts as one that this writer does not know: it is due, and the next try notes it. */
  const note = async (fleet: string, generation: number): Promise<void> => {
    try {
      await record(fleet, generation)
    } catch (error) {
      bases.delete(fleet)
      throw error
    }
  }

  /** Answers false when another writer's head stands there now; that one is the next base. */
  const swap = async (fleet: string, base: Base | undefined, head: Head, body: Body): Promise<boolean> => {
    const sites = new Set(body.sites.map(({ digest }) => digest))
    const bytes = Buffer.from(JSON.stringify(await signEnvelope('head', head, [signer])))
    const condition = base ? ({ ifMatch: base.etag } as const) : ({ ifNoneMatch: '*' } as const)
    bases.delete(fleet)
    try {
      const { etag } = await objects.put(layout.head(fleet), bytes, { condition, contentType: 'application/json' })
      bases.set(fleet, { head, etag, sites })
      return true
    } catch (error) {
      if (isObjectsError(error, 'conflict')) return false
      if (!isObjectsError(error, 'precondition_failed')) throw error
      const found = await readBase(fleet)
      if (!found) return false
      bases.set(fleet, found)
      // Our own write whose answer was lost, or another writer's of the very same state: either way it is written.
      return (
        found.head.generation === head.generation && found.head.digest === head.digest && found.head.revision === head.revision
      )
    }
  }

  const putBody = async (fleet: string, base: Base | undefined, body: Body): Promise<void> => {
    const missing = new Set(newSites(base, body))
    const put = async (key: string, json: string) => {
      await objects.put(key, await compress(Buffer.from(json)), { contentType: 'application/zstd' })
    }
    await Promise.all([
      ...body.sites
        .filter(({ digest }) => missing.has(digest))
        .map(({ digest, json }) => put(layout.desired(fleet, digest), json)),
      put(layout.desired(fleet, body.index.digest), body.index.json),
      put(layout.snapshot(fleet, body.index.digest), body.snapshot)
    ])
  }

  const readBase = async (fleet: string): Promise<Base | undefined> => {
    const found = await getIfChanged(objects, layout.head(fleet), undefined, { bytesMax: headBytesMax })
    if (found.kind !== 'found') return undefined
    const head = parseHead(openStatement(await root(), found.bytes, 'head'))
    if (head.fleet !== fleet) throw new Refusal('bad_head', `the head of fleet ${fleet} is one of fleet ${head.fleet}`)
    return { head, etag: found.etag, sites: await readSites(fleet, head.digest) }
  }

  const readSites = async (fleet: string, digest: string): Promise<ReadonlySet<string> | undefined> => {
    const bytes = await getBytes(objects, layout.desired(fleet, digest), { bytesMax: indexBytesMax })
    const json = bytes && (await decompress(bytes, { maxOutputLength: indexBytesMax }).catch(() => undefined))
    if (!json || sha256Hex(json) !== digest) return undefined
    return new Set(Object.values(parseDesiredIndex(json).sites))
  }

  return {
    /** Brings the fleet's head up to the newest revision. Answers the head that it put, nothing when none was needed. */
    write,
    /** Whether `write` would have anything to do, for all that this writer knows. */
    isDue: (fleet: string, revision: number): boolean => {
      const base = bases.get(fleet)
      return base === undefined || base.head.revision < revision || needsSigning(base.head, clock.now(), validityMs)
    }
  }
}
