import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { byteText, oneLine, table } from './text.ts'

describe('text for terminals', () => {
  it('tells sizes in at most three digits and a decimal', () => {
    const sizes = [0, 999, 1000, 12_345, 999_999, 2_500_000_000, 5e15]
    assert.deepEqual(sizes.map(byteText), ['0 B', '999 B', '1.0 kB', '12.3 kB', '1000 kB', '2.5 GB', '5000 TB'])
  })

  it('aligns columns and leaves no blanks at the ends of lines', () => {
    assert.equal(
      table(
        ['NAME', 'NOTE'],
        [
          ['a', ''],
          ['longer', 'x']
        ]
      ),
      'NAME    NOTE\na\nlonger  x'
    )
  })

  it('holds nothing that could steer a terminal', () => {
    assert.equal(oneLine('a\u001b[31m\nb\u009b\u2028'), 'a\ufffd[31m\ufffdb\ufffd\ufffd')
  })
})
