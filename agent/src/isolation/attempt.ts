import { open, readdir } from 'node:fs/promises'
import { connect } from 'node:net'

/*
 * Run under a pool's identity: tries to reach what no pool may reach, and prints what was not refused, as JSON.
 * It is given to Node on standard input, because that identity may not read the agent's own files. The list of targets
 * comes as the first argument; nothing in it is secret.
 */
type Target = { readonly kind: 'file' | 'folder' | 'socket' | 'address'; readonly at: string }

const attemptMsMax = 3000
/** Nobody else is on these machines: what is not there, or where nobody listens at an address, cannot be reached. */
const refusals = ['EACCES', 'EPERM', 'ENOENT', 'ENOTDIR', 'ENETUNREACH', 'EHOSTUNREACH']

const attempt = async ({ kind, at }: Target): Promise<void> => {
  if (kind === 'file') return (await open(at, 'r')).close()
  if (kind === 'folder') return void (await readdir(at))
  const [host = '', port] = at.split(':')
  await new Promise<void>((resolve, reject) => {
    const socket = kind === 'socket' ? connect(at) : connect({ host, port: Number(port) })
    socket.setTimeout(attemptMsMax, () => socket.destroy(Object.assign(new Error('no answer'), { code: 'EHOSTUNREACH' })))
    socket.once('connect', () => resolve(void socket.destroy()))
    socket.once('error', reject)
  })
}

const isReached = (target: Target): Promise<boolean> =>
  attempt(target).then(
    () => true,
    (error) => !(refusals.includes(error.code) || (target.kind === 'address' && error.code === 'ECONNREFUSED'))
  )

const targets: Target[] = JSON.parse(process.argv[2] ?? '[]')
const reached = await Promise.all(targets.map(async (target) => ((await isReached(target)) ? [target.at] : [])))
process.stdout.write(JSON.stringify(reached.flat()))
