import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { ObjectsSide } from './contract-case.ts'
import { presignCases } from './contract-presign.ts'
import { storeCases } from './contract-store.ts'

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
