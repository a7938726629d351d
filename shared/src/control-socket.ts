import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, rm, rmdir } from 'node:fs/promises'
import { createServer, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Refusal } from './refusal.ts'

/** What a control socket answers: `'GET /status'` → a function from the request's JSON to the answer's. */
export type ControlHandlers = Readonly<Record<string, (body: unknown) => Promise<unknown>>>

const bodyBytesMax = 4 * 1024 * 1024
const socketPathBytesMax = 100

/**
 * The path of a control socket of `folder`. Where the path would be longer than the system allows, a short one below the
 * temporary folder that depends on nothing but `folder` and `name`, in a folder that only we may enter.
 */
export const socketPathIn = async (folder: string, name: string): Promise<string> => {
  const path = join(folder, `${name}.sock`)
  if (Buffer.byteLength(path) <= socketPathBytesMax) return path
  const short = `${shortFolderPrefix()}${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
  await makeOwnFolder(short)
  return join(short, `${name}.sock`)
}

// The name can be guessed, and anybody may make things in the temporary folder: what is there already is not believed.
const makeOwnFolder = async (path: string): Promise<void> => {
  try {
    await mkdir(path, { mode: 0o700 })
    return
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  // On Windows there are no such modes, and the temporary folder is the user's own.
  const uid = process.getuid?.()
  const found = await lstat(path)
  if (found.isDirectory() && (uid === undefined || (found.uid === uid && (found.mode & 0o777) === 0o700))) return
  throw new Refusal(
    'foreign_folder',
    `${path} is not a folder that only we may enter, so no control socket is put there; nothing was changed. Remove it, and start again`
  )
}

const shortFolderPrefix = (): string => join(tmpdir(), `berth-${process.getuid?.() ?? 'user'}-`)

/** Serves JSON over a unix socket that only our own user may open. A stale socket of a killed process is taken over. */
export const serveControl = async (socketPath: string, handlers: ControlHandlers): Promise<{ close: () => Promise<void> }> => {
  await rm(socketPath, { force: true })
  const server = createServer(async (incoming, outgoing) => {
    const answer = (status: number, body: unknown) => {
      outgoing.writeHead(status, { 'content-type': 'application/json' })
      outgoing.end(JSON.stringify(body ?? null))
    }
    try {
      const handler = handlers[`${incoming.method} ${incoming.url}`]
      if (!handler) return answer(404, { code: 'not_found', message: `no ${incoming.method} ${incoming.url} here` })
      answer(200, await handler(await readJson(incoming)))
    } catch (error) {
      const code = error instanceof Refusal ? error.code : 'failed'
      answer(500, { code, message: error instanceof Error ? error.message : String(error) })
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath, resolve)
  })
  await chmod(socketPath, 0o600)
  return {
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      // The short folder goes with its last socket; another socket in it keeps it.
      if (dirname(socketPath).startsWith(shortFolderPrefix())) await rmdir(dirname(socketPath)).catch(() => undefined)
    }
  }
}

/**
 * One call to a control socket. Throws a `Refusal` with the other side's code, or `unreachable` when nobody is there, or
 * `no_answer` when somebody is who did not answer in time: what was asked may be done, or be done yet.
 */
export const callControl = (
  socketPath: string,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
  { timeoutMs = 5000 }: { timeoutMs?: number } = {}
): Promise<unknown> =>
  new Promise((resolve, reject) => {
    let isAnswering = false
    const fail = (cause: unknown) =>
      reject(
        !isAnswering && isNobody(cause)
          ? new Refusal('unreachable', `nobody is at the control socket ${socketPath}`, { cause })
          : new Refusal('no_answer', `no answer on the control socket ${socketPath}; what was asked may be done`, { cause })
      )
    const outgoing = request(
      { socketPath, method, path, headers: { 'content-type': 'application/json' }, timeout: timeoutMs },
      (incoming) => {
        isAnswering = true
        readJson(incoming).then((answer) => {
          if (incoming.statusCode === 200) return resolve(answer)
          const { code, message } = answer as { code: string; message: string } // our own server's error shape
          reject(new Refusal(code, message))
        }, fail)
      }
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    outgoing.on('error', fail)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
  })

// A connection that ends before the first byte of an answer is one whose process just ended.
const nobodyCodes: readonly unknown[] = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']
const isNobody = (cause: unknown): boolean => cause instanceof Error && 'code' in cause && nobodyCodes.includes(cause.code)

const readJson = async (incoming: IncomingMessage): Promise<unknown> => {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming) {
    size += chunk.length
    if (size > bodyBytesMax) throw new Refusal('too_large', `more than ${bodyBytesMax} bytes`)
    chunks.push(chunk)
  }
  return size === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString('utf8'))
}
