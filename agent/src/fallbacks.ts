import { join } from 'node:path'
import { Digest, Uuid } from '@berth/shared/fields'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { jsonParser } from '@berth/shared/parse'
import { Type } from 'typebox'
import type { Fallback } from './plan/state.ts'

const parseFallbacks = jsonParser(
  Type.Record(
    Uuid,
    Type.Object({ release: Digest, operation: Uuid, attempt: Type.Integer({ minimum: 0 }) }, { additionalProperties: false })
  ),
  "this server's fallbacks",
  'bad_fallbacks'
)

export type Fallbacks = Awaited<ReturnType<typeof fallbacks>>

/** Which releases this server gave up by itself, on its disk: a restart must not try them on visitors again. */
export const fallbacks = async (stateFolder: string) => {
  const file = join(stateFolder, 'fallbacks.json')
  const text = await readTextIfThere(file)
  let known: Readonly<Record<string, Fallback>> = text === undefined ? {} : parseFallbacks(text)
  let writing: Promise<unknown> = Promise.resolve()

  const change = (make: (now: typeof known) => typeof known): Promise<void> => {
    const written = writing.then(async () => {
      const next = make(known)
      await writeFileAtomic(file, JSON.stringify(next))
      known = next
    })
    writing = written.catch(() => undefined)
    return written
  }

  return {
    find: (deployment: string): Fallback | undefined => known[deployment],
    put: (deployment: string, fallback: Fallback): Promise<void> => change((now) => ({ ...now, [deployment]: fallback })),
    forget: (deployment: string): Promise<void> =>
      change((now) => Object.fromEntries(Object.entries(now).filter(([other]) => other !== deployment))),
    deployments: (): string[] => Object.keys(known)
  }
}
