import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { eventually } from '@berth/shared/testing/eventually'
import { isConnection, openConnection } from '../prober/connection.ts'
import { findFreePorts } from '../system/ports.ts'
import { plainEnvironment, project } from '../system/system.ts'
import { median } from './figures.ts'

const rounds = 5

/**
 * How long the sample takes by itself from its start to its first answer, as many at once as there are servers on this machine:
 * the part of a deploy that is the application's own.
 */
export const applicationStartMs = async (atOnce: number): Promise<number> => {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const ports = await findFreePorts(atOnce)
    const startedAt = performance.now()
    const children: ChildProcess[] = []
    try {
      await Promise.all(
        ports.map(async (port) => {
          const env = { ...plainEnvironment(), HOST: '127.0.0.1', PORT: String(port) }
          children.push(spawn(process.execPath, [join(project, 'samples/hello-node/server.mjs')], { env, stdio: 'ignore' }))
          await eventually(() => answers(port), { everyMs: 5 })
        })
      )
      times.push(performance.now() - startedAt)
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  }
  return median(times)
}

const answers = async (port: number): Promise<boolean> => {
  const opened = await openConnection({ address: '127.0.0.1', port }, 1000)
  if (!isConnection(opened)) return false
  const exchange = await opened.exchange({ method: 'GET', host: 'localhost', path: '/' }, 1000)
  opened.close()
  return exchange.outcome === 'answered'
}
