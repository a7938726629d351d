import { createServer } from 'node:http'

/** What stands behind every proxy that the bench compares: an answer of 240 bytes, as fast as Node gives it. */
const [host, port] = process.argv.slice(2)
const body = 'h'.repeat(240)
createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': String(body.length) })
  response.end(body)
})
  // Proxies keep their connections between two measurements.
  .on('listening', () => process.stdout.write('listening\n'))
  .listen({ host, port: Number(port) })
  .setTimeout(0).keepAliveTimeout = 120_000
