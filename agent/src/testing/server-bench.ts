import { chmod, cp, link, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '@berth/shared/clock'
import { defaultPool } from '@berth/shared/fields'
import {
  findStartTime,
  isAlive,
  type ProcessIdentity,
  readIdentity,
  signalProcess,
  startDetached,
  stopProcess
} from '@berth/shared/processes'
import { eventually } from '@berth/shared/testing/eventually'
import type { PoolSpec } from '../host/host.ts'
import { deployments, freePort, host, releaseNamed } from './web-workers.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** One server's disk in a temporary folder, the processes that run on it, and releases of the sample to run. */
export type ServerBench = {
  readonly folder: string
  readonly port: number
  /** Starts the front as a process of its own; it is up when its control socket is. */
  readonly startFront: () => Promise<ProcessIdentity>
  /** A copy of the sample `hello-node` with this version, on a build as it is unpacked. */
  readonly release: (version: string, options?: Partial<PoolSpec>) => Promise<PoolSpec>
  /** Kills as `kill -9` does; resolves when the process is gone. */
  readonly kill: (identity: ProcessIdentity) => Promise<void>
  readonly identityOf: (pid: number) => Promise<ProcessIdentity>
  /** Ends every process of this server and removes its folder. */
  readonly close: () => Promise<void>
}

export const createServerBench = async (): Promise<ServerBench> => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-server-'))
  await cp(here('../../../samples/hello-node'), join(folder, 'sample'), { recursive: true })
  const buildFolder = await makeBuild(folder)
  const port = await freePort()
  const machine = {
    server: 's-test',
    zone: 'local-a',
    address: host,
    port,
    objects: { kind: 'folder', root: join(folder, 'objects') },
    keys: { kind: 'local', folder: join(folder, 'keys') },
    pollMs: 1000
  }
  await writeFile(join(folder, 'machine.json'), JSON.stringify(machine))
  // Workers of other users pass through here.
  await chmod(folder, 0o711)
  const fronts: ProcessIdentity[] = []
  let releases = 0

  const kill = async (identity: ProcessIdentity) => {
    await signalProcess(identity, 'SIGKILL')
    await eventually(async () => !(await isAlive(identity)))
  }

  return {
    folder,
    port,
    startFront: async () => {
      const identity = await startDetached({
        command: process.execPath,
        args: [here('../front/main.ts'), folder],
        cwd: folder,
        env: {},
        logFile: join(folder, 'front.log')
      })
      fronts.push(identity)
      return identity
    },
    release: async (version, options = {}) => {
      const releaseFolder = join(folder, 'releases', version)
      await cp(join(folder, 'sample'), releaseFolder, { recursive: true })
      await writeFile(join(releaseFolder, 'version.txt'), version)
      return {
        deployment: deployments.one,
        subscription: deployments.two,
        release: releaseNamed(String(releases++ % 10)),
        releaseFolder,
        buildFolder,
        requires: {},
        settings: {},
        pool: { ...defaultPool, shutdownTimeLimitMs: 2000 },
        startupMs: 20_000,
        identity: undefined,
        address: host,
        adjacentLink: join(folder, 'releases', `${version}.adjacent`),
        ...options
      }
    },
    kill,
    identityOf: async (pid) => {
      const startTime = await findStartTime(pid)
      if (startTime === undefined) throw new Error(`no process ${pid}`)
      return { pid, startTime }
    },
    close: async () => {
      // Keepers first, or they would start their workers anew.
      const identities = await poolIdentities(folder)
      for (const identity of [...fronts, ...identities.keepers]) await kill(identity)
      for (const identity of (await poolIdentities(folder)).workers)
        await stopProcess(identity, { graceMs: 0, group: true, clock: systemClock })
      await eventually(() => rm(folder, { recursive: true, force: true }).then(() => true))
    }
  }
}

/** A build as it lies on a server: the Node program and the launcher. */
const makeBuild = async (folder: string): Promise<string> => {
  const build = join(folder, 'build')
  await cp(here('../builds/node'), build, { recursive: true })
  await mkdir(join(build, 'bin'))
  const program = join(build, 'bin', 'node')
  await link(process.execPath, program).catch(() => cp(process.execPath, program))
  return build
}

const poolIdentities = async (folder: string) => {
  const pools = join(folder, 'run', 'pools')
  const keepers: ProcessIdentity[] = []
  const workers: ProcessIdentity[] = []
  const names = await readdir(pools, { recursive: true }).catch(() => [])
  for (const name of names.filter((one) => one.endsWith('.process.json'))) {
    const identity = await readIdentity(join(pools, name))
    if (identity) (name.includes('keeper-') ? keepers : workers).push(identity)
  }
  return { keepers, workers }
}
