import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const requirement = 'moto[server]==5.2.1'
const cacheFolder = join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'berth')
const venvFolder = join(cacheFolder, 'moto-venv')
const startMsMax = 60_000
const installMsMax = 10 * 60_000

/** The emulator of S3 and KMS that runs for one test file. */
type Moto = { readonly endpoint: string; readonly stop: () => Promise<void> }

// The server reads its standard input until we are gone, however we go, and then ends too.
const program = `
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from moto.server import main
main(['-H', '127.0.0.1', '-p', '0'])
`

/** Installs moto when it is missing, and starts it on a free loopback port with nothing in it. */
export const startMoto = async (): Promise<Moto> => {
  await installMoto()
  const folder = await mkdtemp(join(tmpdir(), 'berth-moto-'))
  const server = spawn(join(venvFolder, 'bin', 'python3'), ['-u', '-c', program], { cwd: folder })
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()))
  const stop = async () => {
    server.stdin.end()
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  try {
    return { endpoint: await listeningAddress(server), stop }
  } catch (error) {
    server.kill('SIGKILL')
    await stop()
    throw error
  }
}

const listeningAddress = (server: ChildProcessWithoutNullStreams): Promise<string> =>
  new Promise((resolve, reject) => {
    let output = ''
    const fail = (what: string) => reject(new Error(`moto ${what}; it said:\n${output}`))
    const deadline = setTimeout(() => fail(`did not listen within ${startMsMax} ms`), startMsMax)
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const [, address] = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(output) ?? []
      if (!address) return
      clearTimeout(deadline)
      resolve(address)
    }
    server.stdout.on('data', read)
    server.stderr.on('data', read)
    server.once('error', (error) => fail(`could not be started (${error.message})`))
    server.once('close', (code) => {
      clearTimeout(deadline)
      fail(`ended with code ${code}`)
    })
  })

/** A virtual environment is made beside its place and renamed into it, so that one that is there is whole. */
const installMoto = async (): Promise<void> => {
  if (
    await access(join(venvFolder, 'bin', 'python3')).then(
      () => true,
      () => false
    )
  )
    return
  await mkdir(cacheFolder, { recursive: true })
  const folder = await mkdtemp(join(cacheFolder, 'moto-venv-'))
  try {
    await runOrExplain('python3', ['-m', 'venv', folder])
    await runOrExplain(join(folder, 'bin', 'python3'), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      requirement
    ])
    await rename(folder, venvFolder)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    // Another test file was first.
    if (!(error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST'))) throw error
  }
}

const runOrExplain = async (command: string, args: readonly string[]): Promise<void> => {
  try {
    await promisify(execFile)(command, args, { timeout: installMsMax })
  } catch (cause) {
    throw new Error(
      `The tests of the real S3 and KMS sides need ${requirement} from PyPI, and \`${command} ${args.join(' ')}\` failed. ` +
        'Install Python 3.10 or newer with venv and pip (Debian: python3-venv), give it a way to PyPI, and run them again.',
      { cause }
    )
  }
}
