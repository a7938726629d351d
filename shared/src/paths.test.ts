import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkPath, checkPaths } from './paths.ts'

describe('a published path', () => {
  for (const path of [
    'index.html',
    'a/b/c.txt',
    '.well-known/x',
    'ünïcode/日本.txt',
    'console.log',
    'com10',
    'a b/c d.txt',
    '.berthignore'
  ])
    it(`may be ${JSON.stringify(path)}`, () => checkPath(path))

  const refused = {
    'one that leaves the folder': ['../x', 'a/../b', '..', 'a/./b', 'a//b', 'a/'],
    'an absolute one': ['/etc/passwd', 'C:/x', 'c:x', '\\\\server\\x'],
    'a device of Windows': ['con', 'CON.txt', 'a/nul', 'aux.tar.gz', 'COM1', 'lpt9.x', 'prn .txt', 'com¹'],
    'a stream of a file': ['a:b', 'web.config::$DATA'],
    'one that ends in a dot or blank': ['a.', 'b/c ', 'a./b'],
    'one with control or wildcard characters': ['a\nb', 'a\u0000b', 'a*b', 'a?b', 'a\\b', 'a|b'],
    'one that is not in form C': ['e\u0301.txt', '\ud800'],
    'one that is too long': ['x'.repeat(256), `${'x/'.repeat(600)}x`],
    'an empty one': [''],
    'one of the platform’s own': ['.berth/x', '.Berth']
  }
  for (const [what, paths] of Object.entries(refused))
    it(`is refused: ${what}`, () => {
      for (const path of paths) assert.throws(() => checkPath(path), { code: 'bad_path' }, JSON.stringify(path))
    })
})

describe('the paths of a version', () => {
  it('are refused when two are the same where case is ignored', () => {
    for (const paths of [
      ['A.txt', 'a.txt'],
      ['a', 'a'],
      ['Straße', 'STRASSE'],
      ['dir/x', 'DIR/y'],
      ['dir/x', 'Dir']
    ])
      assert.throws(() => checkPaths(paths), { code: 'path_collision' }, paths.join(' '))
  })

  it('are refused when one is a file and another needs it as a folder, in either order', () => {
    assert.throws(() => checkPaths(['a', 'a/b']), { code: 'path_collision' })
    assert.throws(() => checkPaths(['a/b', 'a']), { code: 'path_collision' })
  })

  it('are refused when there is none', () => assert.throws(() => checkPaths([]), { code: 'no_files' }))

  it('may be many in the same folder', () => checkPaths(['a/b', 'a/c', 'a/d/e', 'b']))
})
