import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sql } from 'drizzle-orm'
import { connect, disconnect } from '../platform/database.ts'
import { limiter, passwordHashing } from '../platform/passwords.ts'
import { formatToken, isSecretOf, newSecret, parseToken } from '../platform/tokens.ts'
import { testApi } from '../testing/api.ts'
import { testDatabase } from '../testing/postgres.ts'
import { sessions, users } from './schema.ts'
import { makeFirstUsers } from './service.ts'

const { owner, stranger, operator, ours } = await testApi()
const passwords = passwordHashing()
await owner
  .update(users)
  .set({ passwordHash: await passwords.hash('correct horse') })
  .where(sql`email = 'ours@example.com'`)

it('signs a person in by password, with a token that works until its session ends', async () => {
  const signedIn = await stranger('POST', '/v1/sign-in', { email: 'OURS@example.com', password: 'correct horse' })
  const authorization = `Bearer ${signedIn.body.token}`

  assert.equal(signedIn.status, 200)
  assert.deepEqual(signedIn.body.user, { id: ours.user, email: 'ours@example.com' })
  assert.ok(Date.parse(signedIn.body.expiresAt) > Date.now())
  const me = await stranger('GET', '/v1/me', undefined, { authorization })
  assert.equal(me.body.user.email, 'ours@example.com')
  assert.deepEqual(me.body.subscriptions, [{ id: ours.subscription, name: 'ours', role: 'owner' }])

  assert.equal((await stranger('DELETE', '/v1/session', undefined, { authorization })).status, 204)
  assert.equal((await stranger('GET', '/v1/me', undefined, { authorization })).status, 401)
})

it('ends a session at its time', async () => {
  const signedIn = await stranger('POST', '/v1/sign-in', { email: 'ours@example.com', password: 'correct horse' })
  const authorization = `Bearer ${signedIn.body.token}`
  await owner
    .update(sessions)
    .set({ expiresAt: sql`now() - interval '1 second'` })
    .where(sql`id = ${parseToken(signedIn.body.token)?.id}`)

  assert.equal((await stranger('GET', '/v1/me', undefined, { authorization })).status, 401)
})

it('answers an unknown name like a wrong password', async () => {
  const wrong = await stranger('POST', '/v1/sign-in', { email: 'ours@example.com', password: 'battery staple' })
  const unknown = await stranger('POST', '/v1/sign-in', { email: 'nobody@example.com', password: 'battery staple' })

  assert.equal(wrong.status, 401)
  assert.equal(wrong.body.code, 'bad_credentials')
  assert.deepEqual({ ...unknown.body, requestId: '' }, { ...wrong.body, requestId: '' })
})

it('keeps of a token only the hash of its secret', async () => {
  const { token } = (await stranger('POST', '/v1/sign-in', { email: 'ours@example.com', password: 'correct horse' })).body
  const secret = parseToken(token)?.secret ?? ''

  const rows = JSON.stringify(await owner.select().from(sessions))

  assert.equal(secret.length, 64)
  assert.ok(!rows.includes(secret))
})

it('takes a token for what it is, and nothing that is almost one', () => {
  const { secret, hash } = newSecret()
  const id = crypto.randomUUID()
  const token = formatToken(id, secret)

  assert.deepEqual(parseToken(token), { id, secret })
  assert.ok(isSecretOf(secret, hash))
  assert.ok(!isSecretOf(newSecret().secret, hash))
  for (const other of [`${token}0`, token.slice(1), token.toUpperCase(), '', token.replace('berth_', 'birth_')])
    assert.equal(parseToken(other), undefined)
})

it('says who is signed in, for operators too', async () => {
  const me = (await operator('GET', '/v1/me')).body

  assert.equal(me.user.operator, true)
  assert.deepEqual(me.subscriptions, [])
})

it('lets two passwords be checked at once, some wait, and refuses more', async () => {
  const limited = limiter(2, 3)
  let running = 0
  let most = 0
  const releases: (() => void)[] = []
  const work = () =>
    limited(async () => {
      running += 1
      most = Math.max(most, running)
      await new Promise<void>((resolve) => releases.push(resolve))
      running -= 1
    })
  const five = Array.from({ length: 5 }, work)

  await assert.rejects(work(), { code: 'too_many_requests' })
  while (releases.length > 0) {
    releases.shift()?.()
    await new Promise(setImmediate)
  }
  await Promise.all(five)

  assert.equal(most, 2)
})

it('makes the first operator and owner once, with passwords that work', async () => {
  const database = await testDatabase()
  const db = connect(database.ownerUrl)
  try {
    const people = {
      operator: { email: 'operator@localhost', name: 'Operator' },
      owner: { email: 'owner@localhost', name: 'Owner' },
      subscription: 'first'
    }
    const first = await makeFirstUsers({ db, passwords }, people)
    const second = await makeFirstUsers({ db, passwords }, people)

    assert.ok(first)
    assert.equal(second, undefined)
    assert.notEqual(first.owner.password, first.operator.password)
    const { rows } = await db.execute<{ name: string }>(sql`select name from user_subscriptions(${first.owner.id})`)
    assert.deepEqual(rows, [{ name: 'first' }])
    const [row] = await db.select().from(users).where(sql`email = 'owner@localhost'`)
    assert.ok(await passwords.verify(first.owner.password, row?.passwordHash))
    assert.equal(row?.operator, false)
  } finally {
    await disconnect(db)
  }
})
