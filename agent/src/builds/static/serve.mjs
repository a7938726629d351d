// Serves the files of the release's folder, where it starts. No dependencies: it is the whole build.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { contentTypeOf } from './content-types.mjs'
import { parseRange } from './range.mjs'
import { findSegments } from './segments.mjs'

const root = process.cwd()
// Points at the files of the release before this one or after it, if one is kept: a page that a browser loaded from there
// still finds what it links to.
const adjacent = process.env.BERTH_ADJACENT

/** Digest of each file that was asked for. A release's files never change. */
const etags = new Map()

const etagOf = async (file) => {
  const known = etags.get(file)
  if (known) return known
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  const etag = `"${hash.digest('base64url').slice(0, 27)}"`
  etags.set(file, etag)
  return etag
}

/** The file of these segments below `folder`, or what else is there. Whatever a link points to outside of it is not there. */
const findFile = async (folder, segments) => {
  try {
    const base = await realpath(folder)
    const path = await realpath(join(base, ...segments))
    if (path !== base && !path.startsWith(base + sep)) return undefined
    const info = await stat(path)
    if (info.isDirectory()) return { kind: 'folder' }
    return info.isFile() ? { kind: 'file', path, size: info.size } : undefined
  } catch {
    return undefined
  }
}

const findInReleases = async (segments) => {
  const own = await findFile(root, segments)
  if (own) return own
  return adjacent === undefined || adjacent === '' ? undefined : findFile(adjacent, segments)
}

const send = async (request, response, file, status) => {
  const etag = await etagOf(file.path)
  const headers = {
    'content-type': contentTypeOf(extname(file.path)),
    'cache-control': extname(file.path) === '.html' ? 'no-cache' : 'public, max-age=0, must-revalidate',
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
    etag
  }
  if (status === 200 && hasEtag(request.headers['if-none-match'], etag)) return response.writeHead(304, headers).end()
  const mayBePart = status === 200 && (request.headers['if-range'] ?? etag) === etag
  const range = mayBePart ? parseRange(request.headers.range, file.size) : undefined
  if (range === 'unsatisfiable')
    return response.writeHead(416, { 'content-range': `bytes */${file.size}`, 'content-length': 0 }).end()
  const { start, end } = range ?? { start: 0, end: file.size - 1 }
  response.writeHead(range ? 206 : status, {
    ...headers,
    'content-length': end - start + 1,
    ...(range ? { 'content-range': `bytes ${start}-${end}/${file.size}` } : {})
  })
  if (request.method === 'HEAD' || file.size === 0) return response.end()
  await pipeline(createReadStream(file.path, { start, end }), response)
}

const hasEtag = (header, etag) =>
  header !== undefined && (header.trim() === '*' || header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag))

const notFoundPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Not found</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#333}</style>
<h1>Not found</h1>
<p>There is no page at this address.</p>
</html>
`

const sendNotFound = async (request, response) => {
  const own = await findFile(root, ['404.html'])
  if (own?.kind === 'file') return send(request, response, own, 404)
  response.writeHead(404, {
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(notFoundPage),
    'cache-control': 'no-cache'
  })
  response.end(request.method === 'HEAD' ? undefined : notFoundPage)
}

const answer = async (request, response) => {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return response.writeHead(405, { allow: 'GET, HEAD', 'content-length': 0 }).end()
  const [rawPath = '/', query] = (request.url ?? '/').split(/\?(.*)/s)
  // The front says below which path of the site this deployment lies.
  const prefix = String(request.headers['x-forwarded-prefix'] ?? '')
  const found = findSegments(rawPath, prefix)
  if (!found) return sendNotFound(request, response)
  const { segments, endsInSlash } = found
  const here = await findInReleases(segments)
  if (here?.kind === 'file' && !endsInSlash) return send(request, response, here, 200)
  const index = await findInReleases([...segments, 'index.html'])
  if (index?.kind !== 'file') return sendNotFound(request, response)
  if (endsInSlash) return send(request, response, index, 200)
  // Relative links of a folder's page only work below the folder. The path is put together anew, so that it cannot lead elsewhere.
  const location = `${prefix}/${segments.map(encodeURIComponent).join('/')}${segments.length > 0 ? '/' : ''}`
  response.writeHead(308, { location: query === undefined ? location : `${location}?${query}`, 'content-length': 0 }).end()
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    // A client that went away is no news; anything else is, without what the client asked.
    if (error?.code !== 'ERR_STREAM_PREMATURE_CLOSE') process.stderr.write(`cannot answer: ${error?.code ?? error}\n`)
    if (response.headersSent) response.destroy()
    else response.writeHead(500, { 'content-length': 0 }).end()
  })
})
server.listen(Number(process.env.PORT), process.env.HOST)
process.once('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
