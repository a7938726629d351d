import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readAnswer } from './answer.ts'

const read = (text: string, ended = false) => readAnswer(Buffer.from(text, 'latin1'), ended)

describe('reading an answer', () => {
  it('is whole exactly when every byte that its length promised is there', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: 1.1 s-1\r\n\r\nhello'

    for (let length = 0; length < text.length; length++) assert.equal(read(text.slice(0, length)).state, 'more')
    const reading = read(text)

    assert.ok(reading.state === 'whole')
    assert.equal(reading.answer.body.toString(), 'hello')
    assert.equal(reading.answer.headers.get('via'), '1.1 s-1')
    assert.equal(reading.answer.keepsAlive, true)
    assert.equal(reading.bytes, text.length)
  })

  it('is whole exactly when the last chunk is there', () => {
    const text = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n'

    for (let length = 0; length < text.length; length++) assert.equal(read(text.slice(0, length)).state, 'more')
    const reading = read(text)

    assert.ok(reading.state === 'whole')
    assert.equal(reading.answer.body.toString(), 'hello world')
  })

  it('passes over an interim answer', () => {
    const reading = read('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n')

    assert.ok(reading.state === 'whole')
    assert.equal(reading.answer.status, 204)
  })

  it('takes the end of the connection as the end of an answer only where nothing else says its length', () => {
    assert.equal(read('HTTP/1.1 200 OK\r\n\r\nhel', true).state, 'whole')
    assert.equal(read('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel', true).state, 'more')
  })

  it('refuses what is not HTTP, a length that is no number and a chunk without a size', () => {
    assert.equal(read('SSH-2.0-x\r\n\r\n').state, 'bad')
    assert.equal(read('HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n').state, 'bad')
    assert.equal(read('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n').state, 'bad')
  })
})
