import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { callControl } from '@berth/shared/control-socket'
import { isAlive, type ProcessIdentity, signalProcess } from '@berth/shared/processes'
import { eventually as eventuallyWithin } from '@berth/shared/testing/eventually'
import { findSupervisor } from './supervisor.ts'
import { freePort, specOf, type TestCloud, testCloud } from './testing/cloud.ts'
import { ask, keptAlive } from './testing/requests.ts'
import type { MemberView } from './view.ts'

/** Real processes on a machine that may be busy with other tests. */
const eventually = <T>(check: () => Promise<T> | T) => eventuallyWithin(check, { deadlineMs: 60_000 })

const clouds: TestCloud[] = []
const start = async (...changes: Parameters<typeof testCloud>) => {
  const cloud = await testCloud(...changes)
  clouds.push(cloud)
  return cloud
}

const endClouds = async () => {
  for (const cloud of clouds.splice(0)) await cloud.end()
}

/** A cloud with one fleet that a name leads to. */
const startFleet = async (servers: number, ...changes: Parameters<typeof testCloud>) => {
  const cloud = await start(...changes)
  await cloud.addKey('f-one')
  await cloud.cloud.putFleet(specOf('f-one', servers))
  await cloud.cloud.putName('one.localhost', 'f-one')
  const members = await cloud.untilHealthy('f-one', servers)
  return {
    cloud,
    members,
    request: (path = '/') => ask({ host: '127.0.0.1', port: cloud.httpPort, name: 'one.localhost', path })
  }
}

const processOf = (member: MemberView | undefined, service: string): ProcessIdentity => {
  const found = member?.services[service]
  assert.ok(found, `${service} of ${member?.server} runs`)
  return found
}

const kill = async (identity: ProcessIdentity) => {
  assert.ok(await signalProcess(identity, 'SIGKILL'))
  await eventually(async () => !(await isAlive(identity)))
}

const processesBelow = async (member: MemberView | undefined): Promise<ProcessIdentity[]> => {
  const run = join(member?.folder ?? '', 'run')
  const files = (await readdir(run, { recursive: true })).filter((file) => file.endsWith('.json'))
  return Promise.all(files.map(async (file) => JSON.parse(await readFile(join(run, file), 'utf8'))))
}

/** The stand-in keeper of this server has started all three of its workers. */
const untilWorking = (member: MemberView | undefined) =>
  eventually(async () => {
    const processes = await processesBelow(member)
    return processes.length === 6 ? processes : undefined
  })

describe('a local cloud in which something is killed', () => {
  let fleet: Awaited<ReturnType<typeof startFleet>>
  before(async () => {
    fleet = await startFleet(2)
  })
  after(endClouds)

  /** The fleet as it is now, after what the test before did to it. */
  const whole = async () => ({
    ...fleet,
    members: await eventually(async () => {
      const now = await fleet.cloud.members('f-one')
      // The cloud's own word may be half a second old.
      const services = now.flatMap(({ services: { agent, front } }) => [agent, front])
      const alive = await Promise.all(services.map((identity) => identity && isAlive(identity)))
      return now.length === 2 && now.every(({ state }) => state === 'healthy') && alive.every(Boolean) ? now : undefined
    })
  })

  it('starts a service that was killed again, and touches no other process and no connection', async () => {
    const { cloud, members, request } = await whole()
    const [first, second] = members
    await kill(processOf(first, 'agent'))

    await eventually(async () => {
      const [again] = await cloud.members('f-one')
      const agent = again?.services.agent
      return agent && agent.pid !== processOf(first, 'agent').pid
    })

    const after = await cloud.members('f-one')
    assert.deepEqual(after[0]?.services.front, first?.services.front)
    assert.deepEqual(after[1]?.services, second?.services)
    assert.equal((await request()).status, 200)
  })

  it('serves on while a server’s front is dead, without one failed request, and takes it back', async () => {
    const { cloud, members, request } = await whole()
    await kill(processOf(members[0], 'front'))

    const seen = new Set<number>()
    await eventually(async () => {
      const { status, body } = await request()
      assert.equal(status, 200)
      seen.add(JSON.parse(body).pid)
      return seen.size === 2
    })
    assert.equal(seen.has(processOf(members[0], 'front').pid), false)
    await cloud.untilHealthy('f-one', 2)
  })

  it('tells which connections a killed front took along', async () => {
    const { cloud, members } = await whole()
    const agent = keptAlive()
    const { localPort, body } = await ask({ host: '127.0.0.1', port: cloud.httpPort, name: 'one.localhost', agent })
    const member = members.find(({ server }) => server === JSON.parse(body).server)

    await kill(processOf(member, 'front'))

    const aborted = await eventually(async () => {
      const found = (await callControl(cloud.socketPath, 'GET', '/aborted')) as { clientPort: number; server: string }[] // our own answer
      return found.find(({ clientPort }) => clientPort === localPort)
    })
    assert.equal(aborted.server, member?.server)
    agent.destroy()
  })

  it('serves on when the supervisor is killed; the next one adopts everything', async () => {
    const { cloud, members, request } = await whole()
    const before = await cloud.view()
    const agent = keptAlive()
    const kept = () => ask({ host: '127.0.0.1', port: cloud.httpPort, name: 'one.localhost', agent })
    const { localPort } = await kept()

    await kill(before.supervisor)
    assert.equal((await request()).status, 200)
    assert.equal(await findSupervisor(cloud.folder), undefined)
    await cloud.start()

    const after = await cloud.untilHealthy('f-one', 2)
    assert.notEqual((await cloud.view()).supervisor.pid, before.supervisor.pid)
    assert.deepEqual((await cloud.view()).balancer, before.balancer)
    assert.deepEqual(
      after.map(({ server, services }) => ({ server, services })),
      members.map(({ server, services }) => ({ server, services }))
    )
    assert.equal((await kept()).localPort, localPort)
    assert.deepEqual(await cloud.cloud.listNames(), { 'one.localhost': 'f-one' })
    agent.destroy()
  })

  it('finds the supervisor that runs instead of starting a second one', async () => {
    const { cloud } = await whole()
    const { supervisor } = await cloud.view()

    assert.deepEqual((await cloud.start()).identity, supervisor)
  })

  it('adopts a service that a killed supervisor had not written down', async () => {
    const { cloud, members } = await whole()
    const front = processOf(members[0], 'front')
    await kill((await cloud.view()).supervisor)
    await rm(join(members[0]?.folder ?? '', 'run', 'front.json'))

    await cloud.start()

    await eventually(async () => (await cloud.members('f-one'))[0]?.services.front?.pid === front.pid)
  })

  it('starts a killed balancer again on the same addresses, and every server is tried at once', async () => {
    const { cloud, request } = await whole()
    const before = await cloud.view()
    assert.ok(before.balancer)
    await kill(before.balancer)

    const answer = await eventually(() => request())

    assert.equal(answer.status, 200)
    const after = await cloud.view()
    assert.notEqual(after.balancer?.pid, before.balancer.pid)
    assert.equal(after.fleets['f-one']?.balancer, before.fleets['f-one']?.balancer)
  })

  it('starts a server that was killed whole again, on its own disk and address', async () => {
    const { cloud, members } = await whole()
    const [member] = members
    const processes = await untilWorking(member)
    for (const identity of processes) await signalProcess(identity, 'SIGKILL', { group: true })

    await eventually(async () => {
      const [again] = await cloud.members('f-one')
      return again?.state === 'healthy' && again.services.front && again.services.front.pid !== processOf(member, 'front').pid
    })

    const [again] = await cloud.members('f-one')
    assert.deepEqual([again?.server, again?.address, again?.port], [member?.server, member?.address, member?.port])
  })

  it('reboots a server: all its processes end, also stubborn and frozen ones, and it comes back', async () => {
    const { cloud, members, request } = await whole()
    const processes = await untilWorking(members[0])

    await callControl(cloud.socketPath, 'POST', '/servers/reboot', { server: members[0]?.server })

    await eventually(async () => (await Promise.all(processes.map(isAlive))).every((alive) => !alive))
    assert.equal((await request()).status, 200)
    await untilWorking((await cloud.untilHealthy('f-one', 2))[0])
    await assert.rejects(callControl(cloud.socketPath, 'POST', '/servers/reboot', { server: 's-nobody' }), { code: 'not_found' })
  })

  it('replaces a server whose folder is gone by a new one, and leaves no process of the old one', async () => {
    const { cloud, members, request } = await whole()
    const [lost, other] = members
    const processes = await untilWorking(lost)
    // What was just started is remembered at the next look.
    await eventually(async () => {
      const { servers } = JSON.parse(await readFile(join(cloud.folder, 'state.json'), 'utf8'))
      return servers[lost?.server ?? ''].processes.length === processes.length
    })

    await rm(lost?.folder ?? '', { recursive: true })

    await eventually(async () => {
      assert.equal((await request()).status, 200)
      const now = await cloud.members('f-one')
      return now.length === 2 && now.every(({ server, state }) => server !== lost?.server && state === 'healthy')
    })
    assert.ok((await cloud.members('f-one')).some(({ server }) => server === other?.server))
    assert.deepEqual(
      await Promise.all(processes.map(isAlive)),
      processes.map(() => false)
    )
  })
})

describe('a local cloud that goes its ordinary way', () => {
  let cloud: TestCloud
  before(async () => {
    cloud = await start()
  })
  after(endClouds)

  it('gives a server its birth record, its identity and its own fleet’s key, readable by nobody else', async () => {
    await cloud.addKey('f-one')
    await cloud.addKey('f-two')
    await cloud.cloud.putFleet(specOf('f-one', 1))
    const [member] = await cloud.untilHealthy('f-one', 1)
    assert.ok(member)

    assert.deepEqual(JSON.parse(await readFile(join(member.folder, 'birth.json'), 'utf8')), specOf('f-one', 1).birth)
    const { identities, ...machine } = JSON.parse(await readFile(join(member.folder, 'machine.json'), 'utf8'))
    assert.ok(identities.first >= 200_000 && identities.count > 0)
    assert.deepEqual(machine, {
      server: member.server,
      zone: 'local-a',
      address: member.address,
      port: member.port,
      objects: { kind: 'folder', root: join(cloud.home, 'objects') },
      keys: { kind: 'local', folder: join(member.folder, 'keys') },
      pollMs: 1000
    })
    assert.match(member.server, /^s-[0-9a-f]{8}$/)
    assert.deepEqual(await readdir(join(member.folder, 'keys')), ['fleet-f-one.key.json'])
    for (const path of ['keys', 'keys/fleet-f-one.key.json', 'birth.json', 'machine.json'])
      assert.equal((await stat(join(member.folder, path))).mode & 0o077, 0, path)
  })

  it('waits with a birth until the fleet has a key, says so, and follows a key that changes', async () => {
    await cloud.cloud.putFleet(specOf('f-late', 1))
    await eventually(async () => (await cloud.members('f-late'))[0]?.problem?.includes('has no key'))

    await cloud.addKey('f-late')
    const [member] = await cloud.untilHealthy('f-late', 1)
    const copy = join(member?.folder ?? '', 'keys', 'fleet-f-late.key.json')
    await writeFile(join(cloud.home, 'keys', 'fleet-f-late.key.json'), '"disabled"')

    await eventually(async () => (await readFile(copy, 'utf8')) === '"disabled"')
  })

  it('lets the connections of a server that leaves end before it ends the server', async () => {
    await cloud.cloud.putFleet(specOf('f-one', 2))
    const members = await cloud.untilHealthy('f-one', 2)
    await cloud.cloud.putName('one.localhost', 'f-one')
    const held = members.map(({ server }) => ({ server, answer: undefined as Promise<{ body: string }> | undefined }))
    for (const hold of held) hold.answer = ask({ host: '127.0.0.1', port: cloud.httpPort, name: 'one.localhost', path: '/slow' })
    await eventually(async () => (await cloud.members('f-one')).every(({ connections }) => connections === 1))

    await cloud.cloud.putFleet(specOf('f-one', 1))

    const leaving = await eventually(async () => (await cloud.members('f-one')).find(({ state }) => state === 'stopping'))
    assert.equal((await ask({ host: '127.0.0.1', port: cloud.httpPort, name: 'one.localhost' })).status, 200)
    assert.ok(await isAlive(processOf(leaving, 'front')))
    for (const { folder } of members) await writeFile(join(folder, 'go'), '')
    const answers = await Promise.all(held.map(({ answer }) => answer))
    assert.deepEqual(
      new Set(answers.map((answer) => JSON.parse(answer?.body ?? '').server)),
      new Set(members.map(({ server }) => server))
    )
    await eventually(async () => (await cloud.members('f-one')).length === 1)
    await assert.rejects(stat(leaving.folder), { code: 'ENOENT' })
    assert.equal(await isAlive(processOf(leaving, 'front')), false)
  })

  it('refuses a fleet that is not as its schema says, and says which field', async () => {
    await assert.rejects(callControl(cloud.socketPath, 'PUT', '/fleets', { ...specOf('f-refused', 1), servers: -1 }), {
      code: 'invalid',
      message: /\/servers/
    })
    assert.equal(await cloud.cloud.describeFleet('f-refused'), undefined)
  })
})

describe('a local cloud', () => {
  afterEach(endClouds)

  it('ends a server that leaves at the bound, whatever is still connected', async () => {
    const { cloud } = await startFleet(1, { drainMs: 0 })
    const held = ask({ host: '127.0.0.1', port: cloud.httpPort, name: 'one.localhost', path: '/slow' })
    held.catch(() => undefined)
    await eventually(async () => (await cloud.members('f-one'))[0]?.connections === 1)

    await cloud.cloud.deleteFleet('f-one')

    await assert.rejects(held)
    await eventually(async () => (await cloud.cloud.describeFleet('f-one')) === undefined)
  })

  it('leaves no process when it is stopped, and carries on with the same servers when it is started', async () => {
    const { cloud, members, request } = await startFleet(2)
    for (const member of members) await untilWorking(member)

    await cloud.stop()
    assert.deepEqual(await cloud.processes(), [])
    await cloud.start()

    const again = await cloud.untilHealthy('f-one', 2)
    assert.deepEqual(
      again.map(({ server, address }) => [server, address]),
      members.map(({ server, address }) => [server, address])
    )
    assert.equal((await request()).status, 200)
  })

  it('leaves no process when it is stopped after its supervisor was killed', async () => {
    const { cloud, members } = await startFleet(1)
    await untilWorking(members[0])
    await kill((await cloud.view()).supervisor)

    await cloud.stop()

    assert.deepEqual(await cloud.processes(), [])
  })

  it('does not end a process that an application’s own file names', async () => {
    const { cloud, members } = await startFleet(1)
    await untilWorking(members[0])
    const temporary = join(members[0]?.folder ?? '', 'run', 'pool-1', 'tmp')
    await mkdir(temporary)
    const other = await startFleet(1)
    const victim = processOf(other.members[0], 'front')
    await writeFile(join(temporary, 'evil.process.json'), JSON.stringify(victim))

    await cloud.stop()

    assert.equal(await isAlive(victim), true)
  })

  it('runs beside another one, each with its own addresses, names and servers', async () => {
    const one = await startFleet(1)
    const two = await startFleet(1)

    assert.notEqual(one.members[0]?.address, two.members[0]?.address)
    for (const { request, members } of [one, two]) assert.equal(JSON.parse((await request()).body).server, members[0]?.server)
    await one.cloud.stop()
    assert.equal((await two.request()).status, 200)
  })

  it('works with ports of one address where the system has no other', async () => {
    const { members, request } = await startFleet(2, { loopback: 'single' })

    assert.deepEqual(new Set(members.map(({ address }) => address)), new Set(['127.0.0.1']))
    assert.equal(new Set(members.map(({ port }) => port)).size, 2)
    assert.equal((await request()).status, 200)
  })

  it('refuses to start on a port that is taken, names it and its setting, and leaves nothing running', async () => {
    const httpPort = await freePort()
    const other = createServer()
    await new Promise<void>((resolve) => other.listen({ host: '127.0.0.1', port: httpPort }, resolve))

    try {
      await assert.rejects(start({ httpPort }), (error: Error & { code?: string; folder?: string }) => {
        assert.equal(error.code, 'port_taken')
        assert.match(error.message, new RegExp(`port ${httpPort} on 127\\.0\\.0\\.1.*BERTH_HTTP_PORT`))
        return true
      })
    } finally {
      other.close()
    }
  })
})
