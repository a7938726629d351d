import { readFile } from 'node:fs/promises'

/** A socket that takes connections: whose it is, and the number by which its processes hold it. */
export type Listener = { readonly uid: number; readonly inode: string }

/**
 * The sockets that get what is connected to `address` (IPv4) and `port`; none when nobody listens, nothing where the system
 * does not tell (other than Linux). A process of any user may listen on a port that is free.
 */
export const findListeners = async (address: string, port: number): Promise<readonly Listener[] | undefined> => {
  if (process.platform !== 'linux') return undefined
  const [four, six] = await Promise.all([readTable('/proc/net/tcp'), readTable('/proc/net/tcp6')])
  const own = hexOf(address)
  const at = (table: string, host: string) => listenersAt(table, `${host}:${port.toString(16).toUpperCase().padStart(4, '0')}`)
  // As the system chooses: the address itself before all addresses. An IPv6 socket that gets no IPv4 at all looks like one
  // that does, so that it counts only where there is no other.
  const choices = [at(four, own), at(six, mapped + own), at(four, anyFour), at(six, anySix)]
  return choices.find(({ length }) => length > 0) ?? []
}

/** The users whose sockets get what is connected there; nothing where the system does not tell. */
export const listenerUids = async (address: string, port: number): Promise<ReadonlySet<number> | undefined> => {
  const found = await findListeners(address, port)
  return found && new Set(found.map(({ uid }) => uid))
}

/** Whether somebody listens there who is not `uid`. Where the system does not tell, or the user is not known: no. */
export const isTakenByOther = async (address: string, port: number, uid: number | undefined): Promise<boolean> => {
  if (uid === undefined) return false
  const uids = await listenerUids(address, port)
  return uids !== undefined && [...uids].some((other) => other !== uid)
}

const listening = '0A'
const anyFour = '00000000'
const anySix = '0'.repeat(32)
const mapped = '0000000000000000FFFF0000'

/** An IPv4 address as the system writes it: four bytes, the last one first. */
const hexOf = (address: string): string =>
  address
    .split('.')
    .map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, '0'))
    .reverse()
    .join('')

const listenersAt = (table: string, local: string): Listener[] =>
  table.split('\n').flatMap((line) => {
    const [, at, , state, , , , uid, , inode] = line.trim().split(/\s+/)
    return at === local && state === listening && inode !== undefined ? [{ uid: Number(uid), inode }] : []
  })

const readTable = async (file: string): Promise<string> => {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    // A system without IPv6 has no such table.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
