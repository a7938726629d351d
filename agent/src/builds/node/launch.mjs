// Finds the application's entry in the release's folder, where a worker starts, and runs it as the main program.
import { existsSync, readFileSync } from 'node:fs'
import Module from 'node:module'
import { resolve } from 'node:path'

const names = ['server.js', 'server.mjs', 'index.js', 'index.mjs']

const mainOfPackage = () => {
  if (!existsSync('package.json')) return undefined
  const { main } = JSON.parse(readFileSync('package.json', 'utf8'))
  return typeof main === 'string' && existsSync(main) ? main : undefined
}

const entry = names.find((name) => existsSync(name)) ?? mainOfPackage()
if (entry === undefined) {
  process.stderr.write(`nothing to run: the release has none of ${names.join(', ')}, and no package.json whose "main" exists\n`)
  process.exit(1)
}
process.argv[1] = resolve(entry)
Module.runMain()
