import { createHash } from 'node:crypto'
import { chmod, mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { isOpenToPass } from '@berth/shared/files'
import { findStartTime, isAlive, readIdentity, writeIdentity } from '@berth/shared/processes'
import { Refusal } from '@berth/shared/refusal'

/** The folders of one Berth on this machine. */
export type Home = ReturnType<typeof foldersOf>

const foldersOf = (home: string) => ({
  home,
  objects: join(home, 'objects'),
  keys: join(home, 'keys'),
  postgres: join(home, 'postgres'),
  cloud: join(home, 'cloud'),
  builds: join(home, 'builds'),
  compiled: join(home, 'compiled'),
  state: join(home, 'state.json'),
  identity: join(home, 'control-plane.json')
})

/**
 * Opens the data folder, making it when needed. As root each deployment runs under a user id of its own, which must be
 * able to pass through every folder above its release: a project below a closed folder (`/root`) keeps its data elsewhere.
 */
export const openHome = async (wanted: string | undefined, project: string, isRoot: boolean): Promise<Home> => {
  const folder = wanted ?? (isRoot && !(await isOpenToPass(project)) ? elsewhere(project) : join(project, '.berth'))
  await mkdir(folder, { recursive: true })
  if (isRoot && !(await isOpenToPass(dirname(folder))))
    throw new Refusal(
      'home_closed',
      `other users cannot pass through a folder above ${folder}, and applications run as users of their own; nothing was started. ` +
        'Set BERTH_HOME to a folder that they can reach, such as one below /var/lib.'
    )
  await chmod(folder, isRoot ? 0o711 : 0o700)
  const folders = foldersOf(folder)
  for (const closed of [folders.objects, folders.keys, folders.builds]) await mkdir(closed, { recursive: true, mode: 0o700 })
  await mkdir(folders.cloud, { recursive: true, mode: 0o711 })
  return folders
}

/** Writes down that this process is the control plane of this home; refuses while another one lives. */
export const claimHome = async ({ identity, home }: Home): Promise<void> => {
  const other = await readIdentity(identity)
  if (other && (await isAlive(other)))
    throw new Refusal(
      'already_running',
      `Berth already runs in ${home} (process ${other.pid}); stop it with Ctrl-C there, or set BERTH_HOME to another folder`
    )
  const startTime = await findStartTime(process.pid)
  if (startTime === undefined) throw new Error('this system does not tell when our own process started')
  await writeIdentity(identity, { pid: process.pid, startTime })
}

/** Refuses when something listens on the port, by the name of the setting that chooses it. */
export const checkPortIsFree = (port: number, host: string, setting: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (cause) =>
      reject(
        new Refusal(
          'port_taken',
          `port ${port} on ${host} is taken by another program; nothing was started. Stop it, or choose another with ${setting}=<port>`,
          {
            cause
          }
        )
      )
    )
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve()))
  })

const elsewhere = (project: string): string =>
  join('/var/lib/berth', createHash('sha256').update(project).digest('hex').slice(0, 12))
