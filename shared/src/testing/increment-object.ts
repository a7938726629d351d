import { setTimeout as sleep } from 'node:timers/promises'
import { getIfChanged } from '../objects/bytes.ts'
import { folderObjects } from '../objects/folder.ts'
import { type Objects, ObjectsError } from '../objects/objects.ts'

/** How often each writer has counted, as one object that all of them replace by compare-and-swap. */
type Counts = Readonly<Record<string, number>>

export const readCounts = async (objects: Objects, key: string): Promise<{ counts: Counts; etag: string | undefined }> => {
  const found = await getIfChanged(objects, key)
  if (found.kind !== 'found') return { counts: {}, etag: undefined }
  return { counts: JSON.parse(found.bytes.toString()), etag: found.etag }
}

/** Counts once for this writer. `lost`: certainly not counted, try again; `unknown`: perhaps counted. */
export const tryIncrement = async (objects: Objects, key: string, writer: string): Promise<'done' | 'lost' | 'unknown'> => {
  const { counts, etag } = await readCounts(objects, key)
  const body = Buffer.from(JSON.stringify({ ...counts, [writer]: (counts[writer] ?? 0) + 1 }))
  try {
    await objects.put(key, body, { condition: etag === undefined ? { ifNoneMatch: '*' } : { ifMatch: etag } })
    return 'done'
  } catch (error) {
    if (!(error instanceof ObjectsError)) throw error
    if (error.code === 'precondition_failed' || error.code === 'conflict') return 'lost'
    if (error.code === 'unavailable') return 'unknown'
    throw error
  }
}

/** Counts until it was answered `times` that it did. */
export const increment = async (objects: Objects, key: string, writer: string, times: number): Promise<void> => {
  for (let done = 0; done < times; ) {
    if ((await tryIncrement(objects, key, writer)) === 'done') done++
    else await sleep(Math.random() * 4)
  }
}

// As a program: `root key writer times`, one line for each answered count.
if (import.meta.main) {
  const [root = '', key = '', writer = '', times = ''] = process.argv.slice(2)
  const objects = await folderObjects({ root })
  for (let done = 0; done < Number(times); done++) {
    await increment(objects, key, writer, 1)
    process.stdout.write('counted\n')
  }
}
