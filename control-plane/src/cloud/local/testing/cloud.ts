import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemClock } from '@berth/shared/clock'
import { callControl } from '@berth/shared/control-socket'
import { eventually } from '@berth/shared/testing/eventually'
import type { FleetSpec } from '../../cloud.ts'
import { localCloud } from '../client.ts'
import { type StartSupervisorOptions, startSupervisor, stopSupervisor } from '../supervisor.ts'
import { type CloudView, type MemberView, parseCloudView } from '../view.ts'

export const specOf = (fleet: string, servers: number): FleetSpec => ({
  fleet,
  servers,
  birth: {
    format: 1,
    fleet,
    cell: 'local',
    cloud: 'local',
    tenancy: 'public',
    root: { payloadType: 'none', payload: '', signatures: [{ keyid: '0'.repeat(64), sig: '' }] }
  }
})

/** A port that nobody has at this moment. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: 0 }, () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
    })
  })

const service = (name: 'agent' | 'front') => ({
  name,
  command: process.execPath,
  args: [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))]
})

/** A real local cloud in a temporary folder, with stand-ins for what runs on its servers. */
export const testCloud = async (changes: Partial<StartSupervisorOptions['settings']> = {}) => {
  const home = await mkdtemp(join(tmpdir(), 'berth-cloud-'))
  await chmod(home, 0o711)
  const folder = join(home, 'cloud')
  const keysFolder = join(home, 'keys')
  await mkdir(keysFolder, { mode: 0o700 })
  const httpPort = changes.httpPort ?? (await freePort())

  const start = () =>
    startSupervisor({
      folder,
      node: process.execPath,
      env: { PATH: process.env.PATH ?? '' }, // a test is its own entry
      clock: systemClock,
      settings: {
        objects: { kind: 'folder', root: join(home, 'objects') },
        keysFolder,
        pollMs: 1000,
        services: [service('agent'), service('front')],
        drainMs: 60_000,
        stopGraceMs: 1000,
        ...changes,
        httpPort
      }
    })
  const supervisor = await start().catch(async (error: unknown) => {
    await rm(home, { recursive: true, force: true })
    throw error
  })
  const view = async (): Promise<CloudView> => parseCloudView(await callControl(supervisor.socketPath, 'GET', '/state'))
  const members = async (fleet: string): Promise<MemberView[]> => (await view()).fleets[fleet]?.members ?? []

  return {
    folder,
    home,
    httpPort,
    socketPath: supervisor.socketPath,
    cloud: localCloud(supervisor),
    start,
    view,
    members,
    /** What a provisioner does before it declares a fleet. */
    addKey: (fleet: string) => writeFile(join(keysFolder, `fleet-${fleet}.key.json`), `"the key of ${fleet}"`, { mode: 0o600 }),
    untilHealthy: (fleet: string, count: number) =>
      eventually(
        async () => {
          const found = await members(fleet)
          return found.length === count && found.every(({ state }) => state === 'healthy') ? found : undefined
        },
        { deadlineMs: 30_000, what: `${count} healthy servers in ${fleet}` }
      ),
    stop: () => stopSupervisor({ folder, clock: systemClock }),
    end: async () => {
      await stopSupervisor({ folder, clock: systemClock })
      await rm(home, { recursive: true, force: true })
    },
    /** The processes that work for this cloud, by what they were started with. */
    processes: () => processesNaming(home)
  }
}
export type TestCloud = Awaited<ReturnType<typeof testCloud>>

const processesNaming = async (text: string): Promise<number[]> => {
  const commands = process.platform === 'linux' ? await commandsInProc() : await commandsByPs()
  return [...commands].filter(([pid, command]) => pid !== process.pid && command.includes(text)).map(([pid]) => pid)
}

const commandsInProc = async (): Promise<Map<number, string>> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const read = async (pid: number) => [pid, await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')] as const
  return new Map(await Promise.all(pids.map(read)))
}

const commandsByPs = async (): Promise<Map<number, string>> => {
  const { stdout } = await promisify(execFile)('/bin/ps', ['-axww', '-o', 'pid=,args='])
  return new Map(stdout.split('\n').map((line) => [Number.parseInt(line, 10), line] as const))
}
