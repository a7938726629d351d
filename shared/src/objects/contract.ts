import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { presignCases } from './contract-presign.ts'
import { storeCases } from './contract-store.ts'
import type { Objects } from './objects.ts'

/** One side of the door, ready to be asked. The first segments `fleets` and `vault` exist. */
type ObjectsSide = {
  readonly objects: Objects
  /** The same store as another process would open it. */
  readonly reopen: () => Promise<Objects>
  /** Moves the clock by which URLs are signed and judged. */
  readonly passSeconds: (seconds: number) => void
  readonly close: () => Promise<void>
}

/** What a case gets: the side, and a prefix of its own. */
export type ObjectsCase = (side: ObjectsSide, prefix: string) => Promise<void>

const cases = { ...storeCases, ...presignCases }

/** Cases that a stand-in for the real side gets wrong, each with what it does instead. */
type ObjectsSkips = { readonly [Title in keyof typeof cases]?: string }

/** Registers every guarantee of the door as a test against one side. A skipped one is shown with its reason. */
export const objectsContract = (name: string, make: () => Promise<ObjectsSide>, skips: ObjectsSkips = {}): void => {
  describe(`objects: ${name}`, () => {
    let side: ObjectsSide | undefined
    before(async () => {
      side = await make()
    })
    after(() => side?.close())

    const reasons: Readonly<Record<string, string | undefined>> = skips
    for (const [title, run] of Object.entries(cases))
      it(title, async (t) => {
        const reason = reasons[title]
        if (reason) return t.skip(reason)
        assert.ok(side)
        await run(side, `fleets/${randomUUID()}/`)
      })
  })
}
