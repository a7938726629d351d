import { type AddressInfo, createServer } from 'node:net'

/** As many numbers as were asked for, where that is known when it is written. */
type Ports<Count extends number> = Count extends 2
  ? [number, number]
  : Count extends 5
    ? [number, number, number, number, number]
    : number[]

/** Ports of 127.0.0.1 that were free a moment ago; held open together, so that they differ. */
export const findFreePorts = async <Count extends number>(count: Count): Promise<Ports<Count>> => {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(0, '127.0.0.1', resolve)
      })
      return server
    })
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port) // a listening TCP server has one
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports as Ports<Count> // as many as there are servers
}
