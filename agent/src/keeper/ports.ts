import { createHash } from 'node:crypto'
import { readdir, readlink, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Refusal } from '@berth/shared/refusal'

// Below the range from which systems take the ports of outgoing connections, so that none of those can sit on a worker's.
const first = 20_000
const count = 12_000

/**
 * Reserves a port for `owner` (a pool's name) until `releasePorts`: as long as a route may point at a port, no other pool
 * may get it, or requests of one deployment could reach another.
 */
export const reservePort = async (portsFolder: string, owner: string, address: string): Promise<number> => {
  // Servers that share one address look from different ends, so that they seldom find the same port free at the same time.
  const start = createHash('sha256').update(`${portsFolder}\n${owner}`).digest().readUInt32BE()
  for (let index = 0; index < count; index++) {
    const port = first + ((start + index) % count)
    if (!(await claim(join(portsFolder, String(port)), owner))) continue
    if (await isFree(address, port)) return port
    await rm(join(portsFolder, String(port)), { force: true })
  }
  throw new Refusal('no_port', `no free port on ${address} between ${first} and ${first + count}; no worker was started`)
}

/** Gives back every port of `owner`, once its workers are gone and nothing is routed to them. */
export const releasePorts = async (portsFolder: string, owner: string): Promise<void> => {
  for (const name of await readdir(portsFolder)) {
    const file = join(portsFolder, name)
    if ((await readlink(file).catch(() => undefined)) === owner) await rm(file, { force: true })
  }
}

// A link is made whole and exclusively in one call; what it points at is only read as text.
const claim = async (file: string, owner: string): Promise<boolean> => {
  try {
    await symlink(owner, file)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

const isFree = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
