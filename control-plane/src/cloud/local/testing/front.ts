import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

/*
 * A stand-in for a server's front: it answers on the server's address and says who it is. `/slow` answers when the file
 * `<server folder>/go` is there; a file `<server folder>/sick` makes it not ready, a file `never` from its start on.
 */
const folder = process.argv.at(-1) ?? '.'
const { server, address, port } = JSON.parse(readFileSync(join(folder, 'machine.json'), 'utf8'))
const has = (name: string) => existsSync(join(folder, name))

const listener = createServer((incoming, outgoing) => {
  if (incoming.url === '/.berth/ready') {
    outgoing.writeHead(has('sick') ? 503 : 200).end()
    return
  }
  const answer = () => outgoing.end(JSON.stringify({ server, pid: process.pid, url: incoming.url, host: incoming.headers.host }))
  if (incoming.url !== '/slow') return answer()
  outgoing.write(' ')
  const timer = setInterval(() => {
    if (!has('go')) return
    clearInterval(timer)
    answer()
  }, 20)
})
listener.keepAliveTimeout = 60_000
listener.listen({ host: address, port })
process.on('SIGTERM', () => process.exit(0))
