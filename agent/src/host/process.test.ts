import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { defaultPool } from '@berth/shared/fields'
import type { ProcessIdentity } from '@berth/shared/processes'
import { eventually } from '@berth/shared/testing/eventually'
import { processesOfUser } from '@berth/shared/users'
import { findKeeper } from '../keeper/pool-folder.ts'
import { createServerBench, type ServerBench } from '../testing/server-bench.ts'
import { host as address, deployments } from '../testing/web-workers.ts'
import type { Host, PoolSpec, PoolStatus, ProbeRequest } from './host.ts'
import { processHost } from './process.ts'

let bench: ServerBench
let host: Host
beforeEach(async () => {
  bench = await createServerBench()
  host = await processHost({ serverFolder: bench.folder, node: process.execPath, clock: systemClock })
})
afterEach(() => bench.close())

const well: ProbeRequest = { path: '/', status: 200, hostName: 'a.test', count: 2, timeoutMs: 5000, deadlineMs: 20_000 }
const never = new AbortController().signal

const poolOf = async ({ deployment, release }: PoolSpec): Promise<PoolStatus | undefined> =>
  (await host.observe()).pools.find((pool) => pool.deployment === deployment && pool.release === release)

const startWell = async (spec: PoolSpec): Promise<PoolStatus> => {
  await host.startPool(spec)
  assert.deepEqual(await host.probe(spec.deployment, spec.release, well, never), { ok: true })
  return eventually(async () => {
    const pool = await poolOf(spec)
    return pool?.state === 'running' ? pool : undefined
  })
}

type Identity = { readonly version: string; readonly pid: number; readonly uid: number; readonly gid: number }
const askWorker = (port: number, path = '/identity'): Promise<Identity> =>
  new Promise((resolve, reject) => {
    get({ host: address, port, path, agent: false }, async (response) => {
      resolve(JSON.parse(Buffer.concat(await response.toArray()).toString()))
    }).on('error', reject)
  })

const portOf = (pool: PoolStatus | undefined): number => pool?.workers[0]?.port ?? 0

const keeperOf = ({ deployment, release }: PoolSpec): Promise<ProcessIdentity | undefined> =>
  findKeeper(join(bench.folder, 'run', 'pools', deployment, release.slice(0, 12)))

describe('pools that are processes', () => {
  it('start once, answer their probe, and are gone with everything of theirs when they are stopped', async () => {
    const spec = await bench.release('7', { settings: { GREETING: 'ahoy' } })

    const pool = await startWell(spec)
    await host.startPool(spec)
    assert.equal((await poolOf(spec))?.workers[0]?.pid, pool.workers[0]?.pid)
    assert.equal((await askWorker(portOf(pool))).version, '7')
    await host.stopPool(spec.deployment, spec.release)
    await host.stopPool(spec.deployment, spec.release)

    assert.deepEqual((await host.observe()).pools, [])
    await assert.rejects(askWorker(portOf(pool)))
    assert.deepEqual(await readdir(join(bench.folder, 'run', 'ports')), [])
  })

  it('give a worker its settings and nothing of ours', async () => {
    const spec = await bench.release('1', { settings: { GREETING: 'ahoy', PORT: '1' } })
    await writeFile(
      join(spec.releaseFolder, 'server.js'),
      `require('node:http').createServer((q, a) => a.end(JSON.stringify(process.env))).listen(process.env.PORT, process.env.HOST)`
    )
    await writeFile(join(spec.releaseFolder, 'package.json'), '{}')

    const pool = await startWell(spec)
    const env: unknown = await askWorker(portOf(pool))

    const tmp = join(bench.folder, 'run', 'pools', spec.deployment, spec.release.slice(0, 12), 'tmp')
    assert.deepEqual(env, {
      GREETING: 'ahoy',
      HOST: address,
      PORT: String(portOf(pool)),
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: tmp,
      TMPDIR: tmp,
      BERTH_ADJACENT: spec.adjacentLink
    })
    assert.equal((await stat(tmp)).mode & 0o777, 0o700)
  })

  it('start a killed worker again on its port', async () => {
    const spec = await bench.release('1')
    const pool = await startWell(spec)

    await bench.kill(await bench.identityOf(pool.workers[0]?.pid ?? 0))
    const again = await eventually(async () => {
      const now = await poolOf(spec)
      return now?.workers[0]?.ready && now.workers[0].pid !== pool.workers[0]?.pid ? now : undefined
    })

    assert.equal(portOf(again), portOf(pool))
    assert.equal(again.restarts, 1)
    assert.equal((await askWorker(portOf(pool))).pid, again.workers[0]?.pid)
  })

  it('keep their workers when the keeper is killed, and the next keeper mends what dies after', async () => {
    const spec = await bench.release('1')
    const pool = await startWell(spec)
    const keeper = await keeperOf(spec)
    assert.ok(keeper)

    await bench.kill(keeper)
    assert.equal((await askWorker(portOf(pool))).pid, pool.workers[0]?.pid)
    const adopted = await poolOf(spec)
    assert.equal(adopted?.workers[0]?.pid, pool.workers[0]?.pid)
    assert.equal(adopted?.state, 'running')
    assert.notEqual((await keeperOf(spec))?.pid, keeper.pid)
    await bench.kill(await bench.identityOf(pool.workers[0]?.pid ?? 0))

    const again = await eventually(async () => {
      const now = await poolOf(spec)
      return now?.workers[0]?.ready && now.workers[0].pid !== pool.workers[0]?.pid ? now : undefined
    })
    assert.equal(portOf(again), portOf(pool))
  })

  it('have one keeper, however many are started at once', async () => {
    const spec = await bench.release('1')

    await Promise.all([host.startPool(spec), host.startPool(spec), host.startPool(spec)])
    const pool = await startWell(spec)

    assert.equal((await askWorker(portOf(pool))).pid, pool.workers[0]?.pid)
    assert.equal((await poolOf(spec))?.restarts, 0)
  })

  it('freeze and thaw, also under a keeper that was killed between', async () => {
    const spec = await bench.release('1')
    const pool = await startWell(spec)
    const pid = pool.workers[0]?.pid ?? 0
    const isStopped = async () => / T /.test(await readFile(`/proc/${pid}/stat`, 'utf8'))

    await host.freezePool(spec.deployment, spec.release)
    await host.freezePool(spec.deployment, spec.release)
    assert.equal((await poolOf(spec))?.state, 'frozen')
    if (process.platform === 'linux') await eventually(isStopped)
    const keeper = await keeperOf(spec)
    assert.ok(keeper)
    await bench.kill(keeper)
    assert.equal((await poolOf(spec))?.state, 'frozen')
    await host.thawPool(spec.deployment, spec.release)

    assert.deepEqual(await host.probe(spec.deployment, spec.release, { ...well, count: 1 }, never), { ok: true })
    assert.equal((await poolOf(spec))?.workers[0]?.pid, pid)
    assert.equal((await poolOf(spec))?.state, 'running')
    await host.freezePool(spec.deployment, spec.release)
    await host.stopPool(spec.deployment, spec.release)
    assert.deepEqual((await host.observe()).pools, [])
  })

  it('run again when a frozen worker is killed, so that nobody counts on what is not there', async () => {
    const spec = await bench.release('1')
    const pool = await startWell(spec)
    await host.freezePool(spec.deployment, spec.release)

    await bench.kill(await bench.identityOf(pool.workers[0]?.pid ?? 0))

    const again = await eventually(async () => {
      const now = await poolOf(spec)
      return now?.state === 'running' && now.workers[0]?.ready ? now : undefined
    })
    assert.notEqual(again.workers[0]?.pid, pool.workers[0]?.pid)
  })

  it('are given up when they crash five times within five minutes, and say how', async () => {
    const spec = await bench.release('1', { settings: { HELLO_START: 'crash' } })
    const changed = Promise.withResolvers<void>()
    const unsubscribe = host.onChange(() => changed.resolve())

    await host.startPool(spec)
    const result = await host.probe(spec.deployment, spec.release, well, never)
    await changed.promise
    unsubscribe()

    assert.ok(!result.ok)
    assert.equal(result.reason?.code, 'crashed')
    assert.match(result.reason?.message ?? '', /ended with exit code 1 before it was ready/)
    const pool = await poolOf(spec)
    assert.equal(pool?.state, 'crashed')
    assert.equal(pool?.restarts, 4)
    const log = join(bench.folder, 'logs', spec.deployment, `${spec.release.slice(0, 12)}.log`)
    assert.match(await readFile(log, 'utf8'), /told to crash at its start/)
    assert.equal((await stat(log)).mode & 0o777, 0o600)
    await host.stopPool(spec.deployment, spec.release)
    assert.deepEqual((await host.observe()).pools, [])
  })

  it('are given up when no start ends in a listening worker', async () => {
    const spec = await bench.release('1', { settings: { HELLO_START: 'hang' }, startupMs: 100 })

    await host.startPool(spec)
    const result = await host.probe(spec.deployment, spec.release, well, never)

    assert.ok(!result.ok)
    assert.match(result.reason?.message ?? '', /accepted no connection .* within 100 ms/)
  })

  it('are never ready nor probed by the answers of another user who listens on their port', {
    skip: (process.platform !== 'linux' || process.getuid?.() !== 0) && 'not root on Linux'
  }, async () => {
    const spec = await bench.release('1', { settings: { HELLO_START: 'hang' }, startupMs: 1500 })
    await host.startPool(spec)
    const port = await eventually(async () => portOf(await poolOf(spec)) || undefined)
    const code = `require('node:http').createServer((q, a) => a.end()).listen(${port}, '${address}')`
    const stranger = spawn(process.execPath, ['-e', code], { uid: 61_234, gid: 61_234, stdio: 'ignore' })
    try {
      const result = await host.probe(spec.deployment, spec.release, well, never)

      assert.ok(!result.ok)
      assert.match(result.reason?.message ?? '', /before it was ready, while another user listened on its port/)
    } finally {
      stranger.kill('SIGKILL')
    }
  })

  for (const [start, status] of [
    ['500', 500],
    ['302', 302]
  ] as const)
    it(`fail their probe with the very answer when the application answers ${status}`, async () => {
      const spec = await bench.release('1', { settings: { HELLO_START: start } })

      await host.startPool(spec)
      const result = await host.probe(spec.deployment, spec.release, { ...well, deadlineMs: 1500 }, never)

      assert.ok(!result.ok)
      assert.equal(result.last?.status, status)
      if (status === 302) assert.equal(result.last?.headers?.location, '/elsewhere')
      else assert.match(result.last?.bodyStart ?? '', /told to fail/)
    })

  it('have each worker of a web garden probed and started again', async () => {
    const spec = await bench.release('1', { pool: { ...defaultPool, processes: 2 } })

    const pool = await startWell(spec)

    assert.equal(pool.workers.length, 2)
    const pids = await Promise.all(pool.workers.map(async ({ port }) => (await askWorker(port)).pid))
    assert.deepEqual(
      pids,
      pool.workers.map(({ pid }) => pid)
    )
  })

  it('come back on the same ports after everything died with the machine, and only when they are started', async () => {
    const spec = await bench.release('1')
    const pool = await startWell(spec)
    const keeper = await keeperOf(spec)
    assert.ok(keeper)
    await bench.kill(keeper)
    await bench.kill(await bench.identityOf(pool.workers[0]?.pid ?? 0))

    assert.deepEqual((await host.observe()).pools, [])
    const again = await startWell(spec)

    assert.equal(portOf(again), portOf(pool))
  })

  it('run as their own user, who owns nothing but the temporary folder', {
    skip: process.getuid?.() !== 0 && 'not root'
  }, async () => {
    const identity = { uid: 61_234, gid: 61_234 }
    const spec = await bench.release('1', { identity })

    const pool = await startWell(spec)

    const told = await askWorker(portOf(pool))
    assert.deepEqual([told.uid, told.gid], [identity.uid, identity.gid])
    const status = await readFile(`/proc/${told.pid}/status`, 'utf8')
    assert.match(status, /^Uid:\s61234\s61234\s61234\s61234$/m)
    assert.match(status, /^Groups:\s*$/m)
    const tmp = await stat(join(bench.folder, 'run', 'pools', spec.deployment, spec.release.slice(0, 12), 'tmp'))
    assert.deepEqual([tmp.uid, tmp.gid, tmp.mode & 0o777], [identity.uid, identity.gid, 0o700])
  })

  it('leave no process of their user behind, and nothing that a link of theirs leads to is removed', {
    skip: (process.platform !== 'linux' || process.getuid?.() !== 0) && 'not root on Linux'
  }, async () => {
    const identity = { uid: 61_236, gid: 61_236 }
    const spec = await bench.release('1', { identity })
    const outside = join(bench.folder, 'outside')
    await mkdir(outside)
    await chmod(outside, 0o777)
    await writeFile(join(outside, 'kept'), '')
    const server = `require('node:http').createServer((q, a) => a.end()).listen(process.env.PORT, process.env.HOST)`
    await writeFile(join(spec.releaseFolder, 'package.json'), '{}')
    const stray = `require('node:child_process').spawn('/bin/sleep', ['600'], { detached: true, stdio: 'ignore' }).unref()`
    const linked = `require('node:fs').symlinkSync('${outside}', process.env.TMPDIR + '/link')`
    await writeFile(join(spec.releaseFolder, 'server.js'), `${stray}\n${linked}\n${server}`)
    await startWell(spec)
    assert.equal((await processesOfUser(identity.uid)).length, 2)

    await host.stopPool(spec.deployment, spec.release)

    assert.deepEqual(await processesOfUser(identity.uid), [])
    assert.deepEqual(await readdir(outside), ['kept'])
    assert.deepEqual((await host.observe()).pools, [])
  })

  it('are seen though one folder cannot be read, and one keeper cannot start', async () => {
    const [spec, broken] = [await bench.release('1'), await bench.release('2', { deployment: deployments.two })]
    await startWell(spec)
    await startWell(broken)
    const keeper = await keeperOf(broken)
    assert.ok(keeper)
    const folder = join(bench.folder, 'run', 'pools', broken.deployment, broken.release.slice(0, 12))
    const log = join(folder, 'keeper.log')
    await bench.kill(keeper)
    await rm(log)
    await mkdir(log)
    await mkdir(join(bench.folder, 'run', 'pools', broken.deployment, 'odd', 'spec.json'), { recursive: true })

    assert.equal((await poolOf(spec))?.state, 'running')
    assert.equal((await poolOf(broken))?.state, 'running')
  })

  it('that are not there are no answer of a probe: their release is not to blame', async () => {
    const { deployment, release } = await bench.release('1')

    await assert.rejects(host.probe(deployment, release, well, never), { code: 'no_pool' })
  })

  it('are refused when their user cannot get to the files', { skip: process.getuid?.() !== 0 && 'not root' }, async () => {
    const spec = await bench.release('1', { identity: { uid: 61_234, gid: 61_234 } })
    await chmod(join(bench.folder, 'releases'), 0o700)

    await assert.rejects(host.startPool(spec), { code: 'closed_folder' })
    assert.deepEqual((await host.observe()).pools, [])
  })
})
