import { get } from 'node:http'
import type { Endpoint } from './network.ts'

/** How a server looks to the balancer. `starting` until its first good answer under this balancer. */
export type Health = { readonly state: 'starting' | 'healthy' | 'unhealthy'; readonly streak: number }

export const newHealth: Health = { state: 'starting', streak: 0 }

const answersToChange = 2

/**
 * The health after one more answer. A new server is healthy with its first good answer; from then on it takes two alike in a
 * row to change what is thought of it.
 */
export const nextHealth = ({ state, streak }: Health, good: boolean): Health => {
  if (state === 'starting') return good ? { state: 'healthy', streak: 0 } : newHealth
  if (good === (state === 'healthy')) return { state, streak: 0 }
  if (streak + 1 < answersToChange) return { state, streak: streak + 1 }
  return { state: good ? 'healthy' : 'unhealthy', streak: 0 }
}

/** Asks a server's front over a new connection whether it is ready: 200 and nothing else is a yes. */
export const isReady = ({ address, port }: Endpoint, timeoutMs: number): Promise<boolean> =>
  new Promise((resolve) => {
    const outgoing = get({ host: address, port, path: '/.berth/ready', agent: false, timeout: timeoutMs }, (incoming) => {
      incoming.resume()
      incoming.on('error', () => undefined)
      resolve(incoming.statusCode === 200)
    })
    outgoing.on('timeout', () => outgoing.destroy())
    outgoing.on('error', () => resolve(false))
    outgoing.on('close', () => resolve(false))
  })
