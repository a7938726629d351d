import assert from 'node:assert/strict'
import { it } from 'node:test'
import { kindOf } from './kind.ts'

const kind = (paths: string[], packageJson?: unknown) =>
  kindOf(new Set(paths), packageJson === undefined ? undefined : Buffer.from(JSON.stringify(packageJson)))

it('takes a version with a script that the node build starts for an application, and any other for files', () => {
  assert.equal(kind(['server.js', 'index.html']), 'node')
  assert.equal(kind(['server.mjs']), 'node')
  assert.equal(kind(['index.js']), 'node')
  assert.equal(kind(['lib/server.js']), 'static')
  assert.equal(kind(['index.html']), 'static')
  assert.equal(kind(['notes.txt']), 'static')
})

it('takes an index.js beside an index.html for a browser’s', () => {
  assert.equal(kind(['index.html', 'index.js']), 'static')
})

it('believes the main of a package.json only where that file exists', () => {
  assert.equal(kind(['package.json', 'lib/app.js'], { main: './lib/app.js' }), 'node')
  assert.equal(kind(['package.json'], { main: 'lib/app.js' }), 'static')
  assert.equal(kind(['package.json', 'app.js'], { main: 7 }), 'static')
  assert.equal(kindOf(new Set(['package.json']), Buffer.from('{')), 'static')
})
