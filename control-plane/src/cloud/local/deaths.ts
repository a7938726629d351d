import { connect } from 'node:net'
import type { Clock } from '@berth/shared/clock'
import type { Endpoint } from './network.ts'
import type { Aborted } from './table.ts'

const abortedMax = 1000
const suspectsMax = 1000
const probeAfterMs = 25
const probeTimeoutMs = 1000

/**
 * Tells connections that ended because the server behind them died from those that it closed in the ordinary way. A dead
 * process' system closes its connections in order, so the end alone proves nothing: shortly after it we see whether
 * anybody still listens there.
 */
export const deathWatch = (clock: Clock) => {
  const aborted: Aborted[] = []
  const suspects = new Map<string, Aborted[]>()

  const judge = async (server: string, endpoint: Endpoint) => {
    await clock.wait(probeAfterMs)
    const ended = suspects.get(server) ?? []
    suspects.delete(server)
    if (await listens(endpoint)) return
    aborted.push(...ended)
    aborted.splice(0, Math.max(aborted.length - abortedMax, 0))
  }

  return {
    /** The server's side of a connection ended first. */
    suspect: (connection: Omit<Aborted, 'at'>, endpoint: Endpoint) => {
      const ended = { at: clock.now().getTime(), ...connection }
      const waiting = suspects.get(ended.server)
      if (waiting) {
        if (waiting.length < suspectsMax) waiting.push(ended)
        return
      }
      suspects.set(ended.server, [ended])
      void judge(ended.server, endpoint)
    },
    aborted: (): readonly Aborted[] => [...aborted]
  }
}

const listens = ({ address, port }: Endpoint): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: probeTimeoutMs })
    const answer = (listening: boolean) => {
      resolve(listening)
      socket.destroy()
    }
    socket.on('connect', () => answer(true))
    socket.on('timeout', () => answer(true))
    socket.on('error', () => answer(false))
  })
