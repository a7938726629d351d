import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '@berth/shared/testing/eventually'
import { acceptsConnection } from '../front/pools.ts'
import { freePort, host } from '../testing/web-workers.ts'

const script = fileURLToPath(new URL('static/serve.mjs', import.meta.url))
const files = {
  'index.html': '<h1>home</h1>',
  'app.js': 'run()',
  'data.bin': '0123456789',
  'empty.txt': '',
  'about/index.html': 'about',
  'ä ö.txt': 'umlauts',
  '404.html': 'own page',
  '.env': 'SECRET',
  '.git/config': 'SECRET',
  'about/.hidden': 'SECRET',
  '.well-known/security.txt': 'contact'
}

let folder: string
let port: number
let child: ChildProcess
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-static-'))
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder, 'release', path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  await mkdir(join(folder, 'older'))
  await writeFile(join(folder, 'older', 'old.css'), 'old')
  await writeFile(join(folder, 'older', 'app.js'), 'older()')
  await writeFile(join(folder, 'outside.txt'), 'SECRET')
  await symlink('../outside.txt', join(folder, 'release', 'link.txt'))
  port = await freePort()
  child = spawn(process.execPath, [script], {
    cwd: join(folder, 'release'),
    env: { HOST: host, PORT: String(port), BERTH_ADJACENT: join(folder, 'adjacent') },
    stdio: 'inherit'
  })
  await eventually(() => acceptsConnection({ host, port }))
})
after(async () => {
  child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

const ask = (path: string, { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {}) =>
  new Promise<{ status: number | undefined; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
    const outgoing = request({ host, port, path, method, headers, agent: false }, async (answer) => {
      const text = Buffer.concat(await answer.toArray()).toString()
      resolve({ status: answer.statusCode, headers: answer.headers, text })
    })
    outgoing.on('error', reject)
    outgoing.end()
  })

describe('the static build', () => {
  it('serves files with their types, and a folder by its index', async () => {
    const home = await ask('/')
    assert.deepEqual([home.status, home.text], [200, '<h1>home</h1>'])
    assert.equal(home.headers['content-type'], 'text/html; charset=utf-8')
    assert.equal(home.headers['cache-control'], 'no-cache')
    assert.equal(home.headers['x-content-type-options'], 'nosniff')
    assert.equal((await ask('/app.js?v=1')).headers['content-type'], 'text/javascript; charset=utf-8')
    assert.equal((await ask('/data.bin')).headers['content-type'], 'application/octet-stream')
    assert.equal((await ask('/about/')).text, 'about')
    assert.equal((await ask('/%C3%A4%20%C3%B6.txt')).text, 'umlauts')
    assert.equal((await ask('/.well-known/security.txt')).text, 'contact')
    assert.deepEqual([(await ask('/empty.txt')).status, (await ask('/empty.txt')).text], [200, ''])
  })

  it('leads to the folder, never elsewhere, when the slash is missing', async () => {
    const answer = await ask('/about?x=1')
    assert.deepEqual([answer.status, answer.headers.location], [308, '/about/?x=1'])
    assert.equal((await ask('//about')).headers.location, '/about/')
  })

  it('serves below the path of its deployment', async () => {
    const headers = { 'x-forwarded-prefix': '/docs' }
    assert.equal((await ask('/docs/app.js', { headers })).text, 'run()')
    assert.equal((await ask('/docs/', { headers })).text, '<h1>home</h1>')
    assert.equal((await ask('/docs', { headers })).headers.location, '/docs/')
    assert.equal((await ask('/docs/about', { headers })).headers.location, '/docs/about/')
    assert.equal((await ask('/docsapp.js', { headers })).status, 404)
  })

  it('says that nothing changed to who has it already', async () => {
    const { headers } = await ask('/app.js')
    const etag = String(headers.etag)

    for (const given of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const answer = await ask('/app.js', { headers: { 'if-none-match': given } })
      assert.deepEqual([answer.status, answer.text, answer.headers.etag], [304, '', etag])
    }
    assert.equal((await ask('/app.js', { headers: { 'if-none-match': '"other"' } })).status, 200)
    assert.notEqual((await ask('/data.bin')).headers.etag, etag)
  })

  it('answers the part that was asked for', async () => {
    const part = async (range: string, headers = {}) => {
      const answer = await ask('/data.bin', { headers: { range, ...headers } })
      return [answer.status, answer.text, answer.headers['content-range']]
    }

    assert.deepEqual(await part('bytes=2-4'), [206, '234', 'bytes 2-4/10'])
    assert.deepEqual(await part('bytes=7-'), [206, '789', 'bytes 7-9/10'])
    assert.deepEqual(await part('bytes=-3'), [206, '789', 'bytes 7-9/10'])
    assert.deepEqual(await part('bytes=5-99'), [206, '56789', 'bytes 5-9/10'])
    assert.deepEqual(await part('bytes=10-'), [416, '', 'bytes */10'])
    assert.deepEqual(await part('bytes=4-2'), [200, '0123456789', undefined])
    assert.deepEqual(await part('bytes=0-1,3-4'), [200, '0123456789', undefined])
    assert.deepEqual(await part('lines=0-1'), [200, '0123456789', undefined])
    assert.deepEqual(await part('bytes=2-4', { 'if-range': '"another"' }), [200, '0123456789', undefined])
  })

  it('answers HEAD as GET without the body, and refuses other methods', async () => {
    const head = await ask('/data.bin', { method: 'HEAD' })
    assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '10'])
    const post = await ask('/data.bin', { method: 'POST' })
    assert.deepEqual([post.status, post.headers.allow], [405, 'GET, HEAD'])
  })

  it('shows neither hidden files, nor lists, nor anything outside of the release', async () => {
    const closed = [
      '/.env',
      '/%2eenv',
      '/.git/config',
      '/about/.hidden',
      '/../outside.txt',
      '/%2e%2e/outside.txt',
      '/about/..%2f..%2foutside.txt',
      '/..\\outside.txt',
      '/about/%5c..%5c..%5coutside.txt',
      '/link.txt',
      '/index.html/',
      '/index.html%00.txt',
      '/%',
      '/nothing',
      '/.well-known/'
    ]
    for (const path of closed) {
      const { status, text } = await ask(path)
      assert.deepEqual([status, text], [404, 'own page'], path)
    }
  })

  it('answers a path that it lacks from the release beside it, once there is one', async () => {
    assert.equal((await ask('/old.css')).status, 404)
    await symlink('older', join(folder, 'adjacent'))
    assert.equal((await ask('/old.css')).text, 'old')
    assert.equal((await ask('/app.js')).text, 'run()')
    assert.equal((await ask('/../outside.txt')).status, 404)
    await rm(join(folder, 'adjacent'))
    assert.equal((await ask('/old.css')).status, 404)
  })
})
