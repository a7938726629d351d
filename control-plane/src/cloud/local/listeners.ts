import { createServer, type Server, type Socket } from 'node:net'

/** A place to listen, under a name that stays when the place moves. */
export type Place = {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly accept: (client: Socket) => void
}

const backlog = 4096
/** No idle connection is ended by us; one whose other end vanished without a word is. */
export const keepAliveInitialDelay = 60_000

/** Listeners that follow a list of places. Closing one only ends listening: its connections stay. */
export const listeners = () => {
  const open = new Map<string, { readonly place: Place; readonly server: Server }>()
  const problems = new Map<string, string>()
  let settled: Promise<void> = Promise.resolve()

  const settleNow = async (places: readonly Place[]) => {
    for (const [name, { place, server }] of open) {
      if (places.some((wanted) => wanted.name === name && isSame(wanted, place))) continue
      open.delete(name)
      server.close()
    }
    problems.clear()
    for (const place of places) {
      if (open.has(place.name)) continue
      const server = await listenAt(place)
      if (typeof server === 'string') problems.set(place.name, server)
      else open.set(place.name, { place, server })
    }
  }

  return {
    /** Listens at these places and no other. One after the other, so that two lists never mix. */
    settle: (places: readonly Place[]): Promise<void> => {
      settled = settled.then(() => settleNow(places))
      return settled
    },
    /** The system's code for why a place could not be had. */
    problem: (name: string): string | undefined => problems.get(name),
    isOpen: (name: string): boolean => open.has(name)
  }
}

const isSame = (one: Place, other: Place) => one.address === other.address && one.port === other.port

const listenAt = ({ address, port, accept }: Place): Promise<Server | string> =>
  new Promise((resolve) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay }, accept)
    server.once('error', (error) => resolve('code' in error ? String(error.code) : error.message))
    server.listen({ host: address, port, backlog, exclusive: true }, () => {
      // Running out of descriptors while accepting must not end the process; the client sees its connection wait.
      server.on('error', () => undefined)
      resolve(server)
    })
  })
