import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseMachineIdentity } from '@berth/shared/birth'
import { canonicalJson } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import { serveControl } from '@berth/shared/control-socket'
import { Uuid } from '@berth/shared/fields'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { parser } from '@berth/shared/parse'
import { Refusal } from '@berth/shared/refusal'
import { Type } from 'typebox'
import type { FrontTable } from '../host/host.ts'
import { frontFiles, frontSocket } from './files.ts'
import { createFront } from './front.ts'
import { parseTable, parseTableText } from './table.ts'

const lingerMsMax = 3000
const reachableEveryMs = 100
const parseCut = parser(
  Type.Object({ deployment: Uuid, release: Type.String({ maxLength: 64 }) }, { additionalProperties: false }),
  'a cut',
  'bad_cut'
)

/** Runs a front from its folder. `fatal` is called when it cannot do its work, such as when its port is taken. */
export const runFront = async ({
  serverFolder,
  clock,
  fatal
}: {
  readonly serverFolder: string
  readonly clock: Clock
  readonly fatal: (error: Error) => void
}): Promise<{ readonly stop: () => Promise<void> }> => {
  const machine = parseMachineIdentity(await readFile(join(serverFolder, 'machine.json')))
  const files = frontFiles(serverFolder)
  const front = createFront({ server: machine.server, clock })
  const stopped = new AbortController()
  let table: FrontTable | undefined
  let wasTold = false
  let opening: Promise<unknown> | undefined

  const open = (): Promise<unknown> => {
    opening ??= front.listen({ host: machine.address, port: machine.port }).catch((cause: Error) => {
      fatal(new Error(`cannot listen on ${machine.address}:${machine.port}, nothing is served: ${cause.message}`, { cause }))
    })
    return opening
  }

  /** From the first time that the server is ready its listener is open, also after a restart. */
  const openForGood = async (): Promise<void> => {
    if ((await readTextIfThere(files.opened)) === undefined) await writeFileAtomic(files.opened, '')
    await open()
  }

  const put = async (next: FrontTable): Promise<void> => {
    if (table && isOlder(next, table))
      throw new Refusal(
        'stale_table',
        `table ${next.generation} is not newer than table ${table.generation}; nothing was changed`
      )
    if (!table || next.generation > table.generation) {
      await writeFileAtomic(files.table, JSON.stringify(next))
      table = next
      front.swap(next)
    }
    wasTold = true
    front.setReady(next.ready)
    if (next.ready) await openForGood()
  }

  // The socket opens before the table is read: whoever finds it closed may write the table's file, and we will read that.
  const loaded = Promise.withResolvers<void>()
  let turn: Promise<unknown> = loaded.promise
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work)
    turn = result.catch(() => undefined)
    return result
  }
  const control = await serveControl(await frontSocket(serverFolder), {
    'PUT /table': (body) => inTurn(() => put(parseTable(body))),
    'GET /table': () => inTurn(async () => ({ table: table ?? null, wasTold })),
    'GET /stats': async () => front.stats(),
    'POST /cut': (body) =>
      inTurn(async () => {
        const { deployment, release } = parseCut(body)
        if (!front.cut(deployment, release))
          throw new Refusal('routed', `release ${release} of deployment ${deployment} is routed; nothing was cut`)
      })
  })

  const text = await readTextIfThere(files.table)
  table = text === undefined ? undefined : parseTableText(text)
  if (table) front.swap(table)
  if ((await readTextIfThere(files.opened)) !== undefined) await open()
  loaded.resolve()

  // After a reboot the table on disk is ready and its workers are gone, so that the disk alone is not believed.
  const untilReachable = async () => {
    while (!wasTold && !stopped.signal.aborted) {
      if (table?.ready && (await front.isReachable())) {
        await inTurn(async () => {
          if (wasTold) return
          await openForGood()
          front.setReady(true)
        })
        return
      }
      await clock.wait(reachableEveryMs, stopped.signal)
    }
  }
  void untilReachable()

  return {
    stop: async () => {
      stopped.abort()
      await front.drain(lingerMsMax)
      await control.close()
    }
  }
}

const isOlder = (next: FrontTable, current: FrontTable): boolean =>
  next.generation < current.generation ||
  (next.generation === current.generation && canonicalJson(next) !== canonicalJson(current))
