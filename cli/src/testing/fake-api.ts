import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fakeDeployments } from './fake-deployments.ts'
import { ApiFailure, type FakeRequest, type Routes } from './fake-routes.ts'
import { fakeUploads } from './fake-uploads.ts'

/** What happens to the first request that matches: a status instead of an answer, or the connection cut before or after the work. */
export type Fault = { readonly when: (request: FakeRequest) => boolean; readonly what: number | 'reset' | 'lost-answer' }

const owner = { id: randomUUID(), email: 'owner@example.com', name: 'Olga Owner', operator: false }
const password = 'correct horse battery'

/**
 * An API in memory, at the door that the command line knows: real sockets, the real messages, and a sealer that really opens
 * what was sent with the key that it handed out.
 */
export const startFakeApi = async () => {
  const requests: FakeRequest[] = []
  const faults: Fault[] = []
  const tokens = new Set<string>()
  const answered = new Map<string, unknown>()
  const cli = { latest: '0.1.0', minimum: '0.1.0' }
  const subscription = { id: randomUUID(), name: 'Acme', role: 'owner' }
  const subscriptions = [subscription]

  const deployments = fakeDeployments()
  const uploads = fakeUploads({ subscription: subscription.id, origin: () => url, deployments })

  const routes: Routes = {
    'GET /v1/about': () => ({ version: '0.1.0', cli, motto: 'a field that this client does not know' }),
    'POST /v1/sign-in': (_, body) => {
      if (body.email !== owner.email || body.password !== password)
        throw new ApiFailure(401, 'sign_in_refused', 'the e-mail address or the password is wrong')
      const token = randomUUID()
      tokens.add(token)
      return { token, expiresAt: '2100-01-01T00:00:00Z', user: { id: owner.id, email: owner.email } }
    },
    'DELETE /v1/session': () => tokens.clear(),
    'GET /v1/me': () => ({ user: owner, subscriptions }),
    ...scoped(subscription.id, { ...deployments.routes, ...uploads.routes }),
    'GET /v1/builds': () => ({ items: deployments.builds })
  }

  /** The same request with the same key is carried out once; an upload's key is in no second answer. */
  const once = async ({ path, headers }: FakeRequest, handle: () => unknown): Promise<unknown> => {
    const key = headers['idempotency-key']
    if (typeof key !== 'string') return handle()
    if (answered.has(key) && path.endsWith('/uploads'))
      throw new ApiFailure(409, 'upload_key_already_handed_out', 'ask for a new upload')
    if (!answered.has(key)) answered.set(key, await handle())
    return answered.get(key)
  }

  const answer = async (request: FakeRequest): Promise<{ status: number; body: unknown }> => {
    try {
      const isOpen = ['/v1/about', '/v1/sign-in'].includes(request.path)
      if (!isOpen && !tokens.has(request.headers.authorization?.replace(/^Bearer /, '') ?? ''))
        throw new ApiFailure(401, 'not_signed_in', 'sign in first')
      const found = findRoute(routes, request)
      if (!found) throw new ApiFailure(404, 'not_found', `nothing at ${request.path}`)
      const body = request.body.length === 0 ? {} : JSON.parse(request.body.toString())
      return { status: 200, body: await once(request, () => found.handler(found.parameters, body)) }
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error
      return { status: error.status, body: { code: error.code, message: error.message, requestId: 'r-1' } }
    }
  }

  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const body = Buffer.concat(await incoming.toArray())
    const request = { method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers, body }
    requests.push(request)
    const index = faults.findIndex(({ when }) => when(request))
    const [fault] = index < 0 ? [] : faults.splice(index, 1)
    if (fault?.what === 'reset') return void incoming.socket.destroy()
    if (typeof fault?.what === 'number') return void outgoing.writeHead(fault.what).end('<html>a proxy’s page</html>')

    const isStaging = request.path.startsWith('/staging/')
    const { status, body: said } = isStaging ? uploads.staging.put(request) : await answer(request)
    if (fault?.what === 'lost-answer') return void incoming.socket.destroy()
    outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said ?? null))
  }

  let url = ''
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch((error: unknown) => outgoing.writeHead(500).end(String(error)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // a TCP server has no other kind of address

  return {
    url,
    email: owner.email,
    password,
    subscription,
    subscriptions,
    cli,
    requests,
    faults,
    deployments,
    uploads,
    /** A token as the sign-in would give it. */
    token: (): string => {
      const token = randomUUID()
      tokens.add(token)
      return token
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
export type FakeApi = Awaited<ReturnType<typeof startFakeApi>>

/** `GET /sites/:id` → `GET /v1/subscriptions/<id>/sites/:id`. */
const scoped = (subscription: string, routes: Routes): Routes =>
  Object.fromEntries(
    Object.entries(routes).map(([route, handler]) => [route.replace(' /', ` /v1/subscriptions/${subscription}/`), handler])
  )

const findRoute = (routes: Routes, { method, path }: FakeRequest) => {
  for (const [route, handler] of Object.entries(routes)) {
    const pattern = new RegExp(`^${route.replaceAll(/:[a-z]+/g, '([^/?]+)')}$`)
    const match = pattern.exec(`${method} ${path}`)
    if (match) return { handler, parameters: match.slice(1) }
  }
  return undefined
}
