import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { jsonParser } from '@berth/shared/parse'
import { eventually } from '@berth/shared/testing/eventually'
import { Type } from 'typebox'
import { findFreePorts } from './ports.ts'
import { type FoundProcess, findProcessesOf } from './processes.ts'

/** The project's folder: the one that `npm start` is typed in. */
export const project = resolve(import.meta.dirname, '../../..')

/** What a started system says of itself to machines, in one line. */
const Ready = Type.Object({
  api: Type.String(),
  entry: Type.String(),
  profile: Type.String(),
  home: Type.String(),
  supervisorSocket: Type.String(),
  sites: Type.Array(Type.Object({ name: Type.String(), host: Type.String(), url: Type.String() }))
})
const parseReady = jsonParser(Ready, 'the ready line')
export type Ready = ReturnType<typeof parseReady>

const readyMark = 'BERTH_READY '
const startMsMax = 180_000
const stopMsMax = 60_000

export type System = Awaited<ReturnType<typeof createSystem>>

/** The environment that a person's shell would give, and nothing of the test's own. */
export const plainEnvironment = (): Record<string, string> => ({
  PATH: process.env.PATH ?? '/usr/bin:/bin',
  HOME: process.env.HOME ?? '/',
  LANG: 'C.UTF-8'
})

/**
 * A whole Berth of its own, in a temporary folder and on free ports, started exactly as `npm start` does.
 * `destroy` ends it whatever state it is in, and must be called also when a test fails.
 */
export const createSystem = async (settings: Readonly<Record<string, string>> = {}) => {
  const folder = await mkdtemp(join(await realpath(tmpdir()), 'berth-test-'))
  // Applications run as users of their own, who must get through to their releases.
  await chmod(folder, 0o711)
  const [apiPort, httpPort] = await findFreePorts(2)
  const home = join(folder, 'home')
  const profile = join(folder, 'profile.json')
  const environment: Record<string, string> = {
    ...plainEnvironment(),
    BERTH_HOME: home,
    BERTH_PROFILE: profile,
    BERTH_API_PORT: String(apiPort),
    BERTH_HTTP_PORT: String(httpPort),
    BERTH_SERVERS: '3',
    BERTH_MACHINE: '1',
    ...settings
  }
  let running: Running | undefined
  let ready: Ready | undefined

  const start = async (changed: Readonly<Record<string, string>> = {}): Promise<Ready> => {
    if (running?.isOver() === false) throw new Error('the system already runs')
    running = runStart({ ...environment, ...changed })
    ready = await running.ready()
    return ready
  }

  /** Ctrl-C, as a terminal sends it: to every process of the foreground group. Answers the exit code. */
  const interrupt = async (): Promise<number | null> => {
    if (!running) throw new Error('the system was never started')
    running.signal('SIGINT')
    return await running.over(stopMsMax)
  }

  const leftovers = (): Promise<FoundProcess[]> => findProcessesOf(folder)

  const destroy = async (): Promise<void> => {
    if (running?.isOver() === false) await interrupt().catch(() => running?.signal('SIGKILL'))
    await eventually(async () => {
      const left = await leftovers()
      for (const { pid } of left) killIfThere(pid)
      return left.length === 0
    })
    await rm(folder, { recursive: true, force: true })
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
  }
  const onSignal = () => void destroy().finally(() => process.exit(1))
  process.once('SIGTERM', onSignal)
  process.once('SIGINT', onSignal)

  return {
    folder,
    home,
    profile,
    environment,
    apiPort,
    httpPort,
    start,
    interrupt,
    leftovers,
    destroy,
    isRunning: () => running?.isOver() === false,
    ready: (): Ready => {
      if (!ready) throw new Error('the system was never ready')
      return ready
    },
    /** Waits for the end of a start that is expected to fail, or whose process was killed. */
    over: async (): Promise<number | null> => {
      if (!running) throw new Error('the system was never started')
      return await running.over(stopMsMax)
    },
    output: () => running?.output() ?? ''
  }
}

type Running = ReturnType<typeof runStart>

const runStart = (environment: Readonly<Record<string, string>>) => {
  const child = spawn(process.execPath, [join(project, 'scripts/run.mjs'), 'start'], {
    cwd: project,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const closed = new Promise<number | null>((done) => child.once('close', done))

  return {
    output: () => output,
    isOver: () => isOver(child),
    signal: (signal: NodeJS.Signals) => signalGroup(child, signal),
    over: async (deadlineMs: number): Promise<number | null> => {
      await eventually(() => isOver(child), { deadlineMs, what: 'the end of npm start' }).catch((error: unknown) => {
        throw new Error(`npm start does not end; it said:\n${output}`, { cause: error })
      })
      return await closed
    },
    ready: async (): Promise<Ready> => {
      const line = await eventually(
        () => {
          const found = output.split('\n').find((candidate) => candidate.startsWith(readyMark))
          return found ?? (isOver(child) ? 'over' : undefined)
        },
        { deadlineMs: startMsMax, what: 'the ready line' }
      ).catch((error: unknown) => {
        throw new Error(`npm start is not ready; it said:\n${output}`, { cause: error })
      })
      if (line === 'over') throw new Error(`npm start ended with ${await closed} before it was ready; it said:\n${output}`)
      return parseReady(line.slice(readyMark.length))
    }
  }
}

const isOver = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const signalGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
  // A group of one that has ended is signalled by nobody: its number may be another's.
  if (child.pid !== undefined && !isOver(child)) process.kill(-child.pid, signal)
}

const killIfThere = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
