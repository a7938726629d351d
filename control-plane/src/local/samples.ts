import { spawn } from 'node:child_process'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Clock } from '@berth/shared/clock'
import { Refusal } from '@berth/shared/refusal'
import type { ServedSite } from './welcome.ts'

const project = fileURLToPath(new URL('../../..', import.meta.url))

/** What newcomers see first: one site of files, one of a program. */
export const samples = ['samples/hello-static', 'samples/hello-node'] as const

/** Publishes and deploys a sample as anybody would, by the command line; answers when it is served. */
export const bringUp = async (
  sample: string,
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal
): Promise<void> => {
  const child = spawn(process.execPath, ['cli/bin/berth.mjs', 'up', sample, '--json'], {
    cwd: project,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C in our terminal is ours to act on.
    detached: true,
    signal
  })
  const [code, , errors] = await Promise.all([
    new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve)),
    text(child.stdout),
    text(child.stderr)
  ])
  if (code !== 0) throw new Refusal('sample_failed', `berth up ${sample} ended with ${code}: ${errors.trim()}`)
}

const servedMsMax = 60_000
const askEveryMs = 100

/** Waits until each site answers through the entry with something of its own; answers those that do not in time. */
export const awaitServed = async (
  sites: readonly ServedSite[],
  entry: string,
  clock: Clock,
  signal: AbortSignal
): Promise<readonly ServedSite[]> => {
  const deadlineMs = clock.now().getTime() + servedMsMax
  let silent = sites
  while (silent.length > 0 && !signal.aborted && clock.now().getTime() < deadlineMs) {
    const answers = await Promise.all(silent.map(async (site) => ({ site, status: await statusOf(entry, site.host) })))
    silent = answers.filter(({ status }) => status === undefined || status === 404 || status === 503).map(({ site }) => site)
    if (silent.length > 0) await clock.wait(askEveryMs, signal)
  }
  return silent
}

/** `fetch` may not set Host, and not every system resolves `*.localhost`: ask by hand. */
const statusOf = (entry: string, host: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const outgoing = request(`http://${entry}/`, { headers: { host }, agent: false, timeout: 2000 }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    outgoing.on('timeout', () => outgoing.destroy())
    outgoing.on('error', () => resolve(undefined))
    outgoing.end()
  })
