import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Clock, systemClock } from '@berth/shared/clock'
import { saveProfile } from '@berth/shared/profile'
import type { Source } from '../environment.ts'
import { run } from '../program.ts'
import { type FakeApi, startFakeApi } from './fake-api.ts'

/** What one run of the command line left: its exit code and what it wrote. */
export type Ran = { readonly code: number; readonly out: string; readonly err: string }

/** A fake API, a folder for profiles and content, and the command line in this process; `close` removes all of it. */
export const commandLine = async () => {
  const api = await startFakeApi()
  const folder = await mkdtemp(join(tmpdir(), 'berth-cli-'))
  const profilePath = join(folder, 'profile', 'profile.json')
  return {
    api,
    folder,
    profilePath,
    signIn: () => saveProfile(profilePath, 'default', { api: api.url, token: api.token(), email: api.email }),
    berth: (...args: readonly string[]) => runWith({ api, profilePath }, args, piped('')),
    berthWithInput: (input: string, ...args: readonly string[]) => runWith({ api, profilePath }, args, piped(input)),
    /** Makes a folder of files: path → content. */
    files: async (name: string, content: Readonly<Record<string, string | Uint8Array>>): Promise<string> => {
      const root = join(folder, name)
      await mkdir(root, { recursive: true })
      for (const [path, bytes] of Object.entries(content)) {
        await mkdir(dirname(join(root, path)), { recursive: true })
        await writeFile(join(root, path), bytes)
      }
      return root
    },
    close: async () => {
      await api.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
}
export type CommandLine = Awaited<ReturnType<typeof commandLine>>

/** Waits are short, so that retries and polls take no time of the tests; the time itself is the real one. */
export const hastyClock: Clock = { now: systemClock.now, wait: (ms, signal) => systemClock.wait(Math.min(ms, 5), signal) }

/** Runs one command line with this standard input. */
export const runWith = async (
  o: { readonly api: FakeApi; readonly profilePath: string },
  args: readonly string[],
  stdin: Source
): Promise<Ran> => {
  const out: string[] = []
  const err: string[] = []
  const code = await run({
    args,
    stdin,
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    clock: hastyClock,
    version: '0.1.0',
    profilePath: o.profilePath,
    givenApi: o.api.url
  })
  return { code, out: out.join(''), err: err.join('') }
}

const piped = async function* (text: string): AsyncGenerator<string> {
  yield text
}
