import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, realpath } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type CommandLine, commandLine, type Ran } from './testing/command-line.ts'

const bin = fileURLToPath(new URL('../bin/berth.mjs', import.meta.url))
const run = promisify(execFile)

type Node = { readonly program: string; readonly major: number }

/** Every Node that a person on this machine may have: the one that runs this, and those on the path, older ones too. */
const findNodes = async (): Promise<Node[]> => {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = [process.execPath, ...folders.map((folder) => join(folder, 'node'))]
  const found = new Map<string, Node>()
  for (const candidate of candidates) {
    const program = await realpath(candidate).catch(() => undefined)
    if (!program || found.has(program)) continue
    const { stdout } = await run(program, ['-p', 'process.versions.node'])
    found.set(program, { program, major: Number(stdout.split('.')[0]) })
  }
  return [...found.values()].filter(({ major }) => major >= 18)
}

describe('bin/berth.mjs, as a process of its own', () => {
  let line: CommandLine
  let nodes: Node[] = []
  /** The one that has to hand over, where there is an older one. */
  let oldest: Node
  before(async () => {
    line = await commandLine()
    nodes = await findNodes()
    oldest = nodes.reduce((one, other) => (other.major < one.major ? other : one))
  })
  after(() => line.close())

  const berth = async (
    node: Node,
    args: readonly string[],
    more: { input?: string; env?: Record<string, string> } = {}
  ): Promise<Ran> => {
    const env = {
      PATH: process.env.PATH ?? '',
      HOME: line.folder,
      BERTH_PROFILE: line.profilePath,
      BERTH_API: line.api.url,
      ...more.env
    }
    const child = spawn(node.program, [bin, ...args], { env, stdio: 'pipe', timeout: 60_000 })
    child.stdin.end(more.input ?? '')
    const [out, err] = await Promise.all([child.stdout.toArray(), child.stderr.toArray(), child.exitCode ?? once(child, 'exit')])
    return { code: child.exitCode ?? -1, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }
  }

  it('does a whole day’s work under every Node of this machine, an older one too', async () => {
    for (const node of nodes) {
      const folder = await line.files(`day-${node.major}`, { 'index.html': `node ${node.major}` })
      const done = async (args: readonly string[], input?: string) => {
        const { code, out, err } = await berth(node, [...args, '--json'], input === undefined ? {} : { input })
        assert.equal(code, 0, `${args.join(' ')} under Node ${node.major}: ${err}`)
        assert.equal(err, '')
        return JSON.parse(out)
      }

      await done(['login', '--email', line.api.email, '--password-stdin'], `${line.api.password}\n`)
      const { address, deployment } = await done(['up', folder])
      assert.equal(address, `http://day-${node.major}.localhost:8080/`)
      await line.files(`day-${node.major}`, { 'index.html': 'changed' })
      assert.equal((await done(['up', folder])).version, 2)
      assert.equal((await done(['rollback', deployment.name])).operation.version, 1)
      assert.equal((await done(['status', deployment.name])).live.version, 1)
      assert.equal((await done(['logout'])).profile, 'default')
    }
  })

  it('ends with the exit code that help promises, and says why as JSON', async () => {
    const none = { BERTH_PROFILE: join(line.folder, 'none.json') }
    await line.signIn()
    for (const [code, args, env] of [
      [2, ['no-such-command'], {}],
      [2, ['deploy'], {}],
      [2, ['up', '.', '--no-such-option'], {}],
      [3, ['sites'], none],
      [4, ['status', 'nope'], {}],
      [6, ['login', '--api', 'http://127.0.0.1:1', '--email', 'a@b.c', '--password-stdin'], none]
    ] as const) {
      const ran = await berth(oldest, [...args, '--json'], { env, input: 'x\n' })
      assert.equal(ran.code, code, `${args.join(' ')}: ${ran.err}`)
      assert.equal(ran.out, '')
      assert.equal(typeof JSON.parse(ran.err).message, 'string')
    }
  })

  it('prints help and version on stdout with exit code 0, examples and exit codes included', async () => {
    const { code, out } = await berth(oldest, ['--help'])
    assert.equal(code, 0)
    assert.match(out, /\$ berth up \.\/my-site.*5 {2}the operation did not become live/s)
    assert.match((await berth(oldest, ['rollback', '--help'])).out, /\$ berth rollback production --to 6/)
    assert.match((await berth(oldest, ['--version'])).out, /^\d+\.\d+\.\d+\n$/)
  })

  it('under an old Node with no newer one beside it says what to do, and does nothing', async () => {
    const lonely = join(line.folder, 'lonely', 'bin')
    await mkdir(lonely, { recursive: true })
    await copyFile(bin, join(lonely, 'berth.mjs'))
    for (const node of nodes.filter(({ major }) => major < 24)) {
      const failure = await run(node.program, [join(lonely, 'berth.mjs'), 'sites']).then(
        () => undefined,
        (error: unknown) => error
      )
      assert.ok(failure instanceof Error && 'stderr' in failure && 'code' in failure)
      assert.equal(failure.code, 1)
      assert.match(String(failure.stderr), /Node 24 or later is needed.*install Node 24/)
    }
  })
})
