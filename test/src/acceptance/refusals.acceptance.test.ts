import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { jsonParser } from '@berth/shared/parse'
import { Type } from 'typebox'
import { apiOf, cli } from '../system/client.ts'
import { assertServedEverywhere, openStage, publishAndDeploy, type Stage } from './stage.ts'

const exitOfFailedOperation = 5
const parseFailure = jsonParser(Type.Object({ code: Type.String(), message: Type.String() }), 'an error of the command line')

/**
 * What a bad release does at its start, what the message must say about it, and how long it may take: a pool that crashes is given up
 * long before its time is over, all others are asked until then.
 */
const bad = [
  { how: 'crash', does: 'crashes at its start', says: /crashed|given up/, startupMs: 60_000 },
  { how: '500', does: 'answers its probe with 500', says: /500/, startupMs: 4000 },
  { how: '302', does: 'answers its probe with 302', says: /302/, startupMs: 4000 },
  { how: 'hang', does: 'never becomes ready', says: /listen/, startupMs: 4000 }
] as const

describe('a bad release', () => {
  let stage: Stage
  before(async () => {
    stage = await openStage()
    stage.probe()
  })
  after(() => stage?.destroy())

  let version = 1
  for (const { does, how, says, startupMs } of bad)
    it(`that ${does} leaves the old one serving, and the command names the reason`, async () => {
      const play = stage.play('hello-node')
      version++
      const api = await apiOf(stage.system)
      assert.equal((await api('PATCH', `./deployments/${play.deployment}`, { probe: { startupMs } })).status, 200)
      await play.copy.stamp(version)
      await tellToFail(play.copy.folder, how)

      const args = ['publish', play.copy.folder, '--application', play.name, '--deploy', play.deployment, '--json']
      const { code, stderr } = await cli(stage.system, args)

      assert.equal(code, exitOfFailedOperation, stderr)
      const failure = parseFailure(stderr.trim().split('\n').at(-1) ?? '')
      assert.equal(failure.code, 'operation_failed')
      assert.match(failure.message, says)
      await assertServedEverywhere(stage, play, 1)
    })

  it('does not keep a good one from being deployed after it, and nobody noticed any of them', async () => {
    const play = stage.play('hello-node')
    version++
    await tellToFail(play.copy.folder, '')

    await publishAndDeploy(stage, play, version)

    await assertServedEverywhere(stage, play, version)
    await stage.curtain('Bad releases')
  })
})

/** The sample can be told by its environment to fail at its start; here its own code says so. */
const tellToFail = async (folder: string, how: string): Promise<void> => {
  const file = join(folder, 'server.mjs')
  const code = await readFile(file, 'utf8')
  const changed = code.replace(/HELLO_START = '[^']*'/, `HELLO_START = '${how}'`)
  assert.notEqual(changed, '')
  await writeFile(file, changed)
}
