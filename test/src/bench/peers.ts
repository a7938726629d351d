import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { callControl } from '@berth/shared/control-socket'
import { eventually } from '@berth/shared/testing/eventually'
import { frontFiles, frontSocket } from '../../../agent/src/front/files.ts'
import type { FrontTable } from '../../../agent/src/host/host.ts'
import type { BalancerTable } from '../../../control-plane/src/cloud/local/table.ts'
import { isConnection, openConnection } from '../prober/connection.ts'
import { findFreePorts } from '../system/ports.ts'
import { plainEnvironment, project } from '../system/system.ts'
import type { Peers } from './debian.ts'
import { median, type Row } from './figures.ts'
import { loadWith, pin } from './load.ts'

const address = '127.0.0.1'
const host = 'bench.localhost'
const rounds = 3
const secondsEach = 4

/** One way to the same upstream. */
type Way = { readonly name: string; readonly port: number; readonly pid: number }

/**
 * Our front and our balancer beside nginx, doing the same job in the same run: each in front of the same upstream, both on one
 * core, the load on the other. The rounds go over all ways in turn, so that a slow minute of the machine slows them alike.
 */
export const comparePeers = async (folder: string, peers: Peers): Promise<Row[]> => {
  if (cpus().length < 2) throw new Error('the comparison needs two cores: one for the proxies, one for the load')
  const children: ChildProcess[] = []
  try {
    const [upstream, front, balancer, nginxHttp, nginxStream] = await findFreePorts(5)
    const start = (command: string, args: readonly string[], env: Readonly<Record<string, string>>) => {
      const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] })
      children.push(child)
      if (child.pid === undefined) throw new Error(`${command} did not start`)
      return child.pid
    }
    const node = (script: string, ...args: string[]) =>
      start(process.execPath, [join(project, script), ...args], plainEnvironment())

    const upstreamPid = node('test/src/bench/upstream.ts', address, String(upstream))
    const ways: Way[] = [{ name: 'upstream alone', port: upstream, pid: upstreamPid }]
    ways.push({ name: 'front', port: front, pid: await startFront(folder, node, front, upstream) })
    ways.push({ name: 'balancer', port: balancer, pid: await startBalancer(folder, node, balancer, upstream) })
    const nginx = (port: number, kind: 'http' | 'stream') => startNginx({ folder, peers, start, port, upstream, kind })
    ways.push({ name: 'nginx as front', port: nginxHttp, pid: await nginx(nginxHttp, 'http') })
    ways.push({ name: 'nginx as balancer', port: nginxStream, pid: await nginx(nginxStream, 'stream') })

    for (const way of ways) {
      await eventually(() => answers(way.port), { what: `an answer of ${way.name}`, deadlineMs: 20_000 })
      await pin(way.pid, '0')
    }
    return rowsOf(await measure(peers, ways))
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

const answers = async (port: number): Promise<boolean> => {
  const opened = await openConnection({ address, port }, 1000)
  if (!isConnection(opened)) return false
  const exchange = await opened.exchange({ method: 'GET', host, path: '/' }, 1000)
  opened.close()
  return exchange.outcome === 'answered' && exchange.answer.status === 200
}

const measure = async (peers: Peers, ways: readonly Way[]): Promise<ReadonlyMap<string, number>> => {
  const rates = new Map<string, number[]>(ways.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const { name, port } of ways) {
      const { errors, requestsPerSecond } = await loadWith(peers, `http://${address}:${port}/`, { host, seconds: secondsEach })
      if (errors > 0) throw new Error(`${name} gave ${errors} errors under load`)
      rates.get(name)?.push(requestsPerSecond)
    }
  return new Map([...rates].map(([name, values]) => [name, median(values)]))
}

const rowsOf = (rates: ReadonlyMap<string, number>): Row[] => {
  const rate = (name: string) => rates.get(name) ?? 0
  const text = (name: string) => `${Math.round(rate(name)).toLocaleString('en')} requests/s`
  const against = (ours: string, theirs: string): Row => ({
    what: `${ours} beside nginx ${theirs.slice('nginx '.length)}`,
    figure: `${text(ours)} : ${text(theirs)} = ${(rate(ours) / rate(theirs)).toFixed(2)}`
  })
  return [
    { what: 'the upstream alone', figure: text('upstream alone') },
    against('front', 'nginx as front'),
    against('balancer', 'nginx as balancer')
  ]
}

type StartNode = (script: string, ...args: string[]) => number

/** The front of a server, with one route. */
const startFront = async (folder: string, node: StartNode, port: number, upstream: number): Promise<number> => {
  const serverFolder = join(folder, 'front-server')
  const files = frontFiles(serverFolder)
  await mkdir(files.folder, { recursive: true })
  const machine = {
    server: 's-bench',
    zone: 'local-a',
    address,
    port,
    objects: { kind: 'folder', root: folder },
    keys: { kind: 'local', folder },
    pollMs: 1000
  }
  await writeFile(join(serverFolder, 'machine.json'), JSON.stringify(machine))
  const table: FrontTable = {
    generation: 1,
    ready: true,
    routes: [
      {
        hostNames: [host],
        path: '/',
        deployment: randomUUID(),
        release: '0'.repeat(64),
        upstreams: [{ host: address, port: upstream }],
        queueLength: 1000
      }
    ]
  }
  const pid = node('agent/src/front/main.ts', serverFolder)
  const socket = await frontSocket(serverFolder)
  await eventually(() => callControl(socket, 'PUT', '/table', table).then(() => true), { what: 'the front’s table' })
  return pid
}

/** The balancer of a local cloud, with one server behind it. */
const startBalancer = async (folder: string, node: StartNode, port: number, upstream: number): Promise<number> => {
  const own = join(folder, 'balancer')
  await mkdir(own, { recursive: true })
  const table: BalancerTable = {
    format: 1,
    entry: { port: 1, addresses: [] },
    fleets: [
      { fleet: 'f-bench', address, port, servers: [{ server: 's-bench', address, port: upstream, routed: true, proven: true }] }
    ],
    names: {}
  }
  await writeFile(join(own, 'table.json'), JSON.stringify(table))
  return node('control-plane/src/cloud/local/balancer-main.ts', own)
}

/** nginx with one worker and kept connections to the upstream, as an HTTP proxy or on connections. */
const startNginx = async (o: {
  readonly folder: string
  readonly peers: Peers
  readonly start: (command: string, args: readonly string[], env: Readonly<Record<string, string>>) => number
  readonly port: number
  readonly upstream: number
  readonly kind: 'http' | 'stream'
}): Promise<number> => {
  const own = join(o.folder, `nginx-${o.kind}`)
  await mkdir(own, { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${own}/${name};`)
  const server =
    o.kind === 'stream'
      ? `stream { server { listen ${address}:${o.port}; proxy_pass ${address}:${o.upstream}; tcp_nodelay on; } }`
      : `http {
  access_log off;
  ${temporary.join('\n  ')}
  keepalive_requests 1000000;
  upstream u { server ${address}:${o.upstream}; keepalive 64; keepalive_requests 1000000; }
  server { listen ${address}:${o.port}; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; } }
}`
  const head = o.kind === 'stream' ? `load_module ${o.peers.streamModule};\n` : ''
  const file = join(own, 'nginx.conf')
  await writeFile(
    file,
    `${head}daemon off;\nmaster_process off;\nworker_processes 1;\npid ${own}/nginx.pid;\nerror_log ${own}/error.log;\nevents { worker_connections 1024; }\n${server}\n`
  )
  return o.start(o.peers.nginx, ['-c', file, '-p', own, '-e', join(own, 'error.log')], o.peers.environment)
}
