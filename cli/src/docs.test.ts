import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { exitCodeMeanings } from './errors.ts'
import { type CommandLine, commandLine } from './testing/command-line.ts'

describe('docs/cli.md', () => {
  let line: CommandLine
  before(async () => {
    line = await commandLine()
  })
  after(() => line.close())

  it('tells of every command with an example, and of every exit code in the words of help', async () => {
    const text = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8')
    const { out } = await line.berth('--help')
    const commands = [...(out.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name)

    assert.ok(commands.length > 15)
    for (const command of commands.filter((name) => name !== 'help')) {
      assert.match(text, new RegExp(`\`berth ${command}\\b`), `no word about ${command}`)
      assert.match((await line.berth(String(command), '--help')).out, new RegExp(`\\$ .*berth ${command}\\b`))
    }
    for (const [code, meaning] of exitCodeMeanings) assert.ok(text.includes(`| ${code} | ${meaning} |`), String(code))
  })

  it('names every option that a command has', async () => {
    const text = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8')
    for (const command of ['login', 'up', 'publish', 'deploy', 'status', 'rollback']) {
      const { out } = await line.berth(command, '--help')
      for (const [option] of out.matchAll(/--[a-z-]+/g)) assert.ok(text.includes(option), `${option} of ${command}`)
    }
  })
})
