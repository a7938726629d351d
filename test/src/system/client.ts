import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readProfiles } from '@berth/shared/profile'
import { type RunResult, run } from './run.ts'
import { plainEnvironment, project, type System } from './system.ts'

export type CliResult = RunResult & { readonly json: () => unknown }

/** Runs `berth` as a person would who was signed in by `npm start`. */
export const cli = async (system: System, args: readonly string[], o: { timeoutMs?: number } = {}): Promise<CliResult> => {
  const result = await run(process.execPath, [join(project, 'cli/bin/berth.mjs'), ...args], {
    cwd: system.folder,
    env: { ...plainEnvironment(), BERTH_PROFILE: system.profile },
    ...o
  })
  return { ...result, json: () => JSON.parse(result.stdout) }
}

/** The same, for a command that must succeed: fails with all that it said. */
export const cliOk = async (system: System, ...args: string[]): Promise<CliResult> => {
  try {
    const result = await cli(system, args)
    if (result.code === 0) return result
    throw new Error(`berth ${args.join(' ')} ended with ${result.code}\n${result.stdout}${result.stderr}`)
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${await explain(system)}`, { cause: error })
  }
}

/** What the system says about itself when something went wrong: what each deployment is waiting for, and what was logged. */
const explain = async (system: System): Promise<string> => {
  const status = await cli(system, ['status', '--json'], { timeoutMs: 20_000 }).catch(() => undefined)
  const log = await readFile(join(system.home, 'control-plane.log'), 'utf8').catch(() => '')
  const lines = log.split('\n').filter((line) => line.includes('"level":"warn"') || line.includes('"level":"error"'))
  return [status?.stdout, ...lines.slice(-linesMax)].join('\n')
}

const linesMax = 20

export type ApiAnswer = { readonly status: number; readonly body: unknown }

/** A call to the API as the owner. `path` begins below `/v1/subscriptions/<the owner's>` when it begins with `./`. */
export const apiOf = async (system: System) => {
  const profiles = await readProfiles(system.profile)
  const profile = profiles?.profiles[profiles.current]
  if (!profile?.subscription) throw new Error(`${system.profile} signs nobody in`)
  const { subscription, token } = profile
  return async (method: string, path: string, body?: unknown): Promise<ApiAnswer> => {
    const url = path.startsWith('./') ? `/v1/subscriptions/${subscription}${path.slice(1)}` : path
    const answer = await fetch(new URL(url, system.ready().api), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' })
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return { status: answer.status, body: await answer.json() }
  }
}
