import { existsSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { run } from '../system/run.ts'
import { plainEnvironment } from '../system/system.ts'

/** nginx and wrk as Debian has them, and the environment that finds their libraries. */
export type Peers = {
  readonly nginx: string
  readonly streamModule: string
  readonly wrk: string
  readonly environment: Readonly<Record<string, string>>
}

const packages = ['nginx', 'libnginx-mod-stream', 'wrk', 'libluajit2-5.1-2', 'libluajit-5.1-common']

/**
 * The peers that we are measured against: those installed, else Debian's packages, fetched by apt and only unpacked, so that
 * nothing of this machine changes. Throws with the reason where neither can be had.
 */
export const findPeers = async (folder: string): Promise<Peers> => {
  const installed = peersBelow('/')
  if (installed) return installed
  const root = join(folder, 'root')
  await mkdir(root, { recursive: true })
  const fetch = () => tool('apt-get', ['download', ...packages], folder)
  await fetch().catch(async () => {
    // A fresh machine has no package lists yet.
    await tool('apt-get', ['update'], folder)
    await fetch()
  })
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.deb')))
    await tool('dpkg', ['-x', file, root], folder)
  const unpacked = peersBelow(root)
  if (!unpacked) throw new Error(`Debian's packages ${packages.join(', ')} did not hold what they should`)
  return unpacked
}

const peersBelow = (root: string): Peers | undefined => {
  const libraries = ['usr/lib/x86_64-linux-gnu', 'usr/lib/aarch64-linux-gnu'].map((path) => join(root, path))
  const nginx = join(root, 'usr/sbin/nginx')
  const streamModule = join(root, 'usr/lib/nginx/modules/ngx_stream_module.so')
  const wrk = join(root, 'usr/bin/wrk')
  const environment = { ...plainEnvironment(), ...(root === '/' ? {} : { LD_LIBRARY_PATH: libraries.join(delimiter) }) }
  return [nginx, streamModule, wrk].every((file) => existsSync(file)) ? { nginx, streamModule, wrk, environment } : undefined
}

const tool = async (command: string, args: readonly string[], cwd: string): Promise<void> => {
  const environment = { ...plainEnvironment(), PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' }
  const { code, stderr } = await run(command, args, { env: environment, cwd, timeoutMs: 120_000 })
  if (code !== 0) throw new Error(`${command} ${args[0]} failed: ${stderr.trim().split('\n').at(-1)}`)
}
