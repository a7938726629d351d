import { type Static, Type } from 'typebox'

/** What anyone may know: which version runs here, and which command lines it works with. */
export const About = Type.Object(
  {
    version: Type.String(),
    cli: Type.Object({ latest: Type.String(), minimum: Type.String() }, { additionalProperties: false })
  },
  { additionalProperties: false }
)
export type About = Static<typeof About>

export const Health = Type.Object({ ok: Type.Boolean() }, { additionalProperties: false })
export type Health = Static<typeof Health>
