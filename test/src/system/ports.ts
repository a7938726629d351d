import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** As many numbers as were asked for, where that is known when it is written. */
type Ports<Count extends number> = Count extends 2
  ? [number, number]
  : Count extends 5
    ? [number, number, number, number, number]
    : number[]

// Below every system's range of ports for outgoing connections: one of those may sit on a port just when it is needed again.
const range = { from: 10_000, to: 20_000 } as const

/** Different ports of 127.0.0.1 that nobody listened on a moment ago. */
export const findFreePorts = async <Count extends number>(count: Count): Promise<Ports<Count>> => {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = randomInt(range.from, range.to)
    if (await canListen(port)) ports.add(port)
  }
  return [...ports] as Ports<Count> // as many as were asked for
}

const canListen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
