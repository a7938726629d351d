import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { outputTo } from './output.ts'

describe('progress and redrawing', () => {
  const outputOn = (isTTY: boolean, json = false) => {
    const out: string[] = []
    const err: string[] = []
    let now = 1_000_000
    const output = outputTo(
      {
        stdout: { write: (text) => out.push(text), isTTY, columns: 20, rows: 5 },
        stderr: { write: (text) => err.push(text), isTTY, columns: 20 },
        clock: { now: () => new Date(now), wait: async () => undefined }
      },
      json
    )
    return { output, out, err, pass: (ms: number) => (now += ms) }
  }

  it('redraws one line on a terminal, at most ten times a second, no longer than the terminal is wide', () => {
    const { output, err, pass } = outputOn(true)

    output.progress.show('first of a very long line')
    output.progress.show('too soon')
    pass(100)
    output.progress.show('second')
    output.note('done')

    assert.deepEqual(err, ['\r\u001b[2Kfirst of a very lon', '\r\u001b[2Ksecond', '\r\u001b[2K', 'done\n'])
  })

  it('writes a plain line now and then elsewhere, and none for short work', () => {
    const { output, err, pass } = outputOn(false)

    for (let second = 0; second < 11; second++) {
      output.progress.show(`second ${second}`)
      pass(1000)
    }

    assert.deepEqual(err, ['second 5\n', 'second 10\n'])
  })

  it('says nothing but JSON with --json', () => {
    const { output, out, err, pass } = outputOn(true, true)

    pass(60_000)
    output.progress.show('working')
    output.note('for people')
    output.redraw({ state: 'live' }, 'words')
    output.result({ done: true }, 'words')

    assert.deepEqual(err, [])
    assert.deepEqual(out, ['{"state":"live"}\n', '{"done":true}\n'])
  })

  it('draws what is watched in place on a terminal, and below what was written in between', () => {
    const { output, out } = outputOn(true)

    output.redraw({}, 'one\ntwo')
    output.redraw({}, 'three')
    output.note('a word')
    output.redraw({}, 'four')

    assert.deepEqual(out, ['one\ntwo\n', '\u001b[2A\u001b[0Jthree\n', 'four\n'])
  })

  it('draws no more lines than the terminal shows, so that they can be drawn again', () => {
    const { output, out } = outputOn(true)

    output.redraw({}, '1\n2\n3\n4\n5\n6')
    output.redraw({}, '1')

    assert.deepEqual(out, ['1\n2\n3\n… 3 more lines\n', '\u001b[4A\u001b[0J1\n'])
  })
})
