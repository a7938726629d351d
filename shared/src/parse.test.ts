import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Type } from 'typebox'
import { answerParser } from './parse.ts'

const Item = Type.Object(
  {
    id: Type.Integer(),
    note: Type.Union([Type.String(), Type.Null()]),
    inner: Type.Object({ on: Type.Boolean() }, { additionalProperties: false })
  },
  { additionalProperties: false }
)
const parseAnswer = answerParser(Type.Object({ items: Type.Array(Item) }, { additionalProperties: false }), 'the list')
const item = { id: 1, note: null, inner: { on: true } }

describe('an answer', () => {
  it('may say more than we know, at any depth', () => {
    const newer = { items: [{ ...item, color: 'red', inner: { on: true, since: 5 } }], next: 'x' }

    assert.deepEqual(parseAnswer(newer), { items: [item] })
    assert.equal(newer.next, 'x')
  })

  it('is refused with the field when it says less, or something else', () => {
    assert.throws(() => parseAnswer({ items: [{ ...item, id: 'one' }] }), { code: 'bad_answer', field: '/items/0/id' })
    assert.throws(() => parseAnswer({ items: [{ id: 1 }] }), { code: 'bad_answer' })
    assert.throws(() => parseAnswer(undefined), { code: 'bad_answer' })
  })
})
