import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Type } from 'typebox'
import { answerParser, jsonParser } from './parse.ts'
import type { Refusal } from './refusal.ts'

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

describe('a message', () => {
  const parse = jsonParser(
    Type.Object({ text: Type.Optional(Type.String()) }, { additionalProperties: false }),
    'the message',
    'bad_message'
  )

  it('is refused, with its code, when it holds text that no database keeps and no canonical form has', () => {
    for (const text of [
      '{"text":"a\\u0000b"}',
      '{"text":"\\ud800"}',
      '{"text":{"\\udfff":1}}',
      '['.repeat(100) + ']'.repeat(100)
    ])
      assert.throws(() => parse(text), { code: 'bad_message' })
    assert.deepEqual(parse('{"text":"\\ud83d\\ude00"}'), { text: '\ud83d\ude00' })
  })

  it('is refused by words that can be kept, however its fields are named', () => {
    const names = ['a\0b', 'line\nbreak', '\ud800', 'long'.repeat(100_000)]
    for (const name of names)
      assert.throws(
        () => parse(JSON.stringify({ [name]: { [name]: name } })),
        ({ code, message, field }: Refusal) => {
          assert.equal(code, 'bad_message')
          for (const said of [message, field ?? '']) {
            assert.doesNotMatch(said, /\p{Cc}/u)
            assert.ok(said.isWellFormed() && said.length < 400)
          }
          return true
        }
      )
  })
})
