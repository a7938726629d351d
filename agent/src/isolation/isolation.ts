import { spawn } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Clock } from '@berth/shared/clock'
import { parser } from '@berth/shared/parse'
import { Refusal } from '@berth/shared/refusal'
import { Type } from 'typebox'
import type { PoolIdentity } from '../host/host.ts'

const attemptMsMax = 15_000
const againMs = 30_000
const script = fileURLToPath(new URL('./attempt.ts', import.meta.url))
const parseReached = parser(Type.Array(Type.String()), "the isolation probe's answer", 'not_isolated')

/** What no pool on this server may reach. */
export type Target = { readonly kind: 'file' | 'folder' | 'socket' | 'address'; readonly at: string }

/** Runs the attempts under this identity and answers what was reached: nothing is good. */
export type Attempt = (identity: PoolIdentity, targets: readonly Target[]) => Promise<readonly string[]>

export const attemptAs =
  (node: string): Attempt =>
  async (identity, targets) => {
    const program = await readFile(script, 'utf8')
    const child = spawn(node, ['--input-type=module-typescript', '-', JSON.stringify(targets)], {
      cwd: '/',
      env: {},
      ...identity,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: attemptMsMax,
      killSignal: 'SIGKILL'
    })
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(program)
    const [answer, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    if (code !== 0) throw new Error(`the isolation probe could not run: ${complaint.slice(0, 500)}`)
    return parseReached(JSON.parse(answer))
  }

/**
 * Before the first pool: proof that a pool's identity cannot reach the agent's secrets and sockets, nor the cloud's metadata.
 * A laptop whose agent cannot switch users has no such proof; that is printed and reported instead.
 */
export const isolation = ({
  attempt,
  probeIdentity,
  targets,
  weakness,
  clock
}: {
  readonly attempt: Attempt
  /** The identity to probe under; nothing where pools get none. */
  readonly probeIdentity: () => Promise<PoolIdentity | undefined>
  readonly targets: () => Promise<readonly Target[]>
  /** Why pools have no identity of their own here, if they have none and may run all the same. */
  readonly weakness: string | undefined
  readonly clock: Clock
}) => {
  let proof: Promise<void> | undefined
  let failedAt = 0
  let failure: Refusal | undefined

  const prove = async (): Promise<void> => {
    const identity = await probeIdentity()
    if (!identity) {
      if (weakness !== undefined) return
      throw new Refusal(
        'not_isolated',
        'this agent cannot give pools an identity of their own: no pool is started. Run it as root'
      )
    }
    const reached = await attempt(identity, await targets())
    if (reached.length > 0)
      throw new Refusal(
        'not_isolated',
        `a pool could reach ${reached.slice(0, 5).join(', ')}: no pool is started until it cannot`
      )
  }

  /** Whatever made it good, nobody shall read any more that it was not. */
  const clear = () => {
    failure = undefined
  }

  return {
    /** Resolves once it is proved; refuses with `not_isolated`, and proves again no sooner than half a minute later. */
    require: (): Promise<void> => {
      const now = clock.now().getTime()
      if (failure && now - failedAt < againMs) return Promise.reject(failure)
      proof ??= prove().then(clear, (error) => {
        proof = undefined
        failedAt = clock.now().getTime()
        failure =
          error instanceof Refusal
            ? error
            : new Refusal('not_isolated', 'it could not be proved that pools are isolated: no pool is started', { cause: error })
        throw failure
      })
      return proof
    },
    /** For the report: in plain words, what is not isolated here. */
    notIsolated: (): string[] =>
      [weakness, failure?.message].filter((words) => words !== undefined).map((words) => words.slice(0, 512))
  }
}

/** The first folder above `path` that other users cannot enter: below it, a pool with an identity of its own finds nothing. */
export const findClosedFolder = async (path: string): Promise<string | undefined> => {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return folder
    if (folder === dirname(folder)) return undefined
  }
}
