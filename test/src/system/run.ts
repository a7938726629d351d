import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

export type RunResult = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** Runs a program to its end with exactly this environment; a program that does not end in time is killed and fails the caller. */
export const run = async (
  command: string,
  args: readonly string[],
  { env, cwd, timeoutMs = 120_000 }: { env: Readonly<Record<string, string>>; cwd: string; timeoutMs?: number }
): Promise<RunResult> => {
  const child = spawn(command, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const deadline = AbortSignal.timeout(timeoutMs)
  const kill = () => child.kill('SIGKILL')
  deadline.addEventListener('abort', kill)
  try {
    const exit = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    const [code, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)])
    if (deadline.aborted) throw new Error(`${command} ${args.join(' ')} did not end within ${timeoutMs} ms\n${stdout}${stderr}`)
    return { code, stdout, stderr }
  } finally {
    deadline.removeEventListener('abort', kill)
  }
}
