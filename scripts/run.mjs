// What `npm start`, `npm test` and the others call. Plain JavaScript that any Node from 18 on runs: it installs what is
// missing and then hands over to the Node 24 that the project brings along.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const node24 = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')

/** Each task is a list of commands for Node 24; the first that fails ends it. */
const tasks = {
  start: () => [['control-plane/src/local.ts', ...rest]],
  test: () => [
    ['--test', '--test-concurrency=2', ...testFiles((file) => !/\.(services|acceptance)\.test\.ts$/.test(file))],
    ['--test', '--test-concurrency=1', ...testFiles((file) => file.endsWith('.acceptance.test.ts'))]
  ],
  'test:services': () => [['--test', '--test-concurrency=1', ...testFiles((file) => file.endsWith('.services.test.ts'))]],
  check: () => [
    ['node_modules/@biomejs/biome/bin/biome', 'ci', '--error-on-warnings', '.'],
    ['node_modules/typescript/bin/tsc', '-p', '.'],
    ['scripts/check-boundaries.mjs'],
    ['node_modules/knip/bin/knip.js', '--no-progress']
  ],
  bench: () => [['test/src/bench/main.ts', ...rest]],
  soak: () => [['test/src/soak.ts', ...rest]]
}

const [task, ...rest] = process.argv.slice(2)
if (task === undefined || !Object.hasOwn(tasks, task)) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(tasks).join('|')}`)
  process.exit(2)
}

install()
if (Number(process.versions.node.split('.')[0]) < 24) handOver()
else for (const command of tasks[task]()) await run(command)

/** `npm ci`, unless what is installed is what the lock file says. */
function install() {
  if (isInstalled()) return
  console.error('Installing packages (npm ci); this takes about a minute the first time …')
  const npm = process.env.npm_execpath
  const [command, args] = npm ? [process.execPath, [npm]] : [process.platform === 'win32' ? 'npm.cmd' : 'npm', []]
  const installed = spawnSync(command, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2]
  })
  if (installed.status !== 0) {
    console.error('berth: npm ci failed (see above); nothing was started. Mend what it names and run this command again.')
    process.exit(1)
  }
}

function isInstalled() {
  const installedFile = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installedFile) || !existsSync(node24)) return false
  const packagesOf = (file) => Object.entries(JSON.parse(readFileSync(file, 'utf8')).packages)
  const installed = new Map(packagesOf(installedFile).map(([path, { version }]) => [path, version]))
  return packagesOf(join(root, 'package-lock.json'))
    .filter(([path, { optional, link }]) => path.startsWith('node_modules/') && !optional && !link)
    .every(([path, { version }]) => installed.get(path) === version)
}

/** Runs this very script again under Node 24: an older one knows no TypeScript. */
function handOver() {
  const child = spawn(node24, process.argv.slice(1), { cwd: root, stdio: 'inherit' })
  follow(child).then((code) => process.exit(code))
}

function testFiles(filter) {
  const files = ['shared', 'control-plane', 'agent', 'cli', 'test']
    .flatMap((workspace) =>
      readdirSync(join(root, workspace, 'src'), { recursive: true }).map((file) => join(workspace, 'src', file))
    )
    .filter((file) => file.endsWith('.test.ts') && filter(file))
    .sort()
  if (files.length === 0) {
    console.error('berth: no test file was found; a run without tests is no pass.')
    process.exit(1)
  }
  return files
}

async function run([script, ...args]) {
  const child = spawn(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' })
  const code = await follow(child)
  if (code !== 0) process.exit(code)
}

/** Waits for the child; signals that only we got are passed on, and only the child decides when it is over. */
function follow(child) {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  const pass = (signal) => child.kill(signal)
  for (const signal of signals) process.on(signal, pass)
  return new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      for (const name of signals) process.off(name, pass)
      resolve(code ?? (signal ? 1 : 0))
    })
  })
}
