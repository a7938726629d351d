// A small web application without dependencies. It shows which version and which process answers, and can be asked to be
// slow, to fail or to crash, so that one can watch what the platform makes of it.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

const version = readFileSync(new URL('version.txt', import.meta.url), 'utf8').trim()
const startedAt = new Date().toISOString()
const { HOST, PORT = '8080', HELLO_START = '', HELLO_START_DELAY_MS = '0' } = process.env

const json = (response, status, value) => {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(value)}\n`)
}

const identity = () => ({ version, pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.(), startedAt })

const page = () => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hello from version ${version}</title>
<link rel="stylesheet" href="style.css">
<main>
  <h1>Hello from version <b>${version}</b></h1>
  <p>Process ${process.pid} has answered since ${startedAt}.</p>
  <p>Try <a href="identity">identity</a>, <a href="?slow=2000">slow</a>, <a href="?status=500">failing</a>.</p>
</main>
</html>
`

const style = `body { font: 1.1rem/1.6 system-ui, sans-serif; margin: 15vh auto; max-width: 36rem; padding: 0 1rem; color: #17324d; }
b { color: #0b7a75; }
`

const upload = async (request, response) => {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of request) {
    hash.update(chunk)
    bytes += chunk.length
  }
  json(response, 200, { bytes, sha256: hash.digest('hex'), version, pid: process.pid })
}

const answer = async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://hello')
  response.setHeader('x-hello', `${version}/${process.pid}`)
  if (searchParams.has('crash')) process.exit(3)
  if (searchParams.has('slow')) await wait(Number(searchParams.get('slow')))
  if (searchParams.has('status')) return json(response, Number(searchParams.get('status')), { asked: true })
  const name = pathname.slice(pathname.lastIndexOf('/') + 1)
  if (name === 'upload' && request.method === 'POST') return upload(request, response)
  if (name === 'identity') return json(response, 200, identity())
  if (name === 'style.css') {
    response.writeHead(200, { 'content-type': 'text/css; charset=utf-8' })
    return response.end(style)
  }
  if (name !== '') return json(response, 404, { error: 'there is no such page' })
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
  response.end(page())
}

const sick = {
  500: (_, response) => json(response, 500, { error: 'this worker was told to fail' }),
  302: (_, response) => response.writeHead(302, { location: '/elsewhere' }).end()
}

if (HELLO_START === 'crash') {
  process.stderr.write('hello-node: told to crash at its start\n')
  process.exit(1)
}
await wait(Number(HELLO_START_DELAY_MS))
if (HELLO_START === 'hang') setInterval(() => undefined, 1 << 30)
else {
  const server = createServer(sick[HELLO_START] ?? answer)
  server.listen(Number(PORT), HOST, () => process.stdout.write(`hello-node ${version} listens on port ${PORT}\n`))
  process.once('SIGTERM', () => {
    server.close(() => process.exit(0))
    server.closeIdleConnections()
  })
}
