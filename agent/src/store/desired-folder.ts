import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256Hex } from '@berth/shared/canonical'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { type Checkpoint, noCheckpoint } from '../checkpoint.ts'

/** Objects that no index needs any more are kept until so many newer indexes were accepted. */
const indexesKept = 64
const name = /^([0-9a-f]{64})\.json$/

export type DesiredFolder = Awaited<ReturnType<typeof desiredFolder>>

/**
 * The last good desired state on this server's disk: objects by digest, and the head that was accepted last.
 * The head is written when all that it leads to is there, so a server that is killed at any moment wakes up with a whole state.
 */
export const desiredFolder = async (folder: string, checkpoint: Checkpoint = noCheckpoint) => {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const headFile = join(folder, 'head.json')
  const fileOf = (digest: string) => join(folder, `${digest}.json`)
  /** What each accepted index left behind, oldest first. */
  const left: string[][] = []

  return {
    findHead: () => readTextIfThere(headFile),
    /** The object's text, if it is here and still what its name says. */
    find: async (digest: string): Promise<string | undefined> => {
      const text = await readTextIfThere(fileOf(digest))
      return text !== undefined && sha256Hex(text) === digest ? text : undefined
    },
    has: (digest: string): Promise<boolean> =>
      stat(fileOf(digest)).then(
        () => true,
        () => false
      ),
    put: (digest: string, text: string): Promise<void> => writeFileAtomic(fileOf(digest), text),
    /** Makes this head the one that the server holds. */
    accept: async (head: Uint8Array): Promise<void> => {
      checkpoint('desired/objects-written')
      await writeFileAtomic(headFile, head)
      checkpoint('desired/head-written')
    },
    /** Removes what has not been needed for a while. `needed` are the digests that the held state leads to. */
    sweep: async (needed: ReadonlySet<string>): Promise<void> => {
      const known = new Set(left.flat())
      const entries = await readdir(folder)
      left.push(
        entries.flatMap((entry) => {
          const digest = name.exec(entry)?.[1]
          return digest === undefined || needed.has(digest) || known.has(digest) ? [] : [digest]
        })
      )
      while (left.length > indexesKept)
        for (const digest of left.shift() ?? []) if (!needed.has(digest)) await rm(fileOf(digest), { force: true })
    }
  }
}
