import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { layout } from '@berth/shared/layout'
import { type Objects, ObjectsError } from '@berth/shared/objects/objects'
import { openFirstRoot } from '@berth/shared/trust'
import type { Checkpoint } from '../checkpoint.ts'
import { deploymentOf, siteOf, type TestFleet, testFleet } from '../testing/fleet.ts'
import { desiredFolder } from './desired-folder.ts'
import { desiredReader } from './desired-reader.ts'

const setUp = async (o: Parameters<typeof testFleet>[0] = {}) => {
  const fleet = await testFleet(o)
  const folder = join(fleet.folder, 'desired')
  const site = siteNamed(fleet, 'one.localhost')
  return { fleet, folder, site, open: (change: Parameters<typeof openReader>[2] = {}) => openReader(fleet, folder, change) }
}

const openReader = async (
  fleet: TestFleet,
  folder: string,
  {
    objects = fleet.objects,
    now = () => new Date(),
    checkpoint
  }: { objects?: Objects; now?: () => Date; checkpoint?: Checkpoint }
) =>
  desiredReader({
    objects,
    folder: await desiredFolder(folder, checkpoint),
    judge: { root: openFirstRoot(fleet.birth.root), birth: fleet.birth },
    now
  })

const siteNamed = (fleet: TestFleet, host: string, subscription = fleet.subscription) =>
  siteOf(subscription, randomUUID(), [host], [deploymentOf({ deployment: randomUUID(), application: fleet.application })])

const gone = (objects: Objects): Objects => ({
  ...objects,
  get: async () => {
    throw new ObjectsError('unavailable', 'gone')
  }
})

const counting = (objects: Objects) => {
  const keys: string[] = []
  const counted: Objects = {
    ...objects,
    get: async (key, options) => {
      keys.push(key)
      return objects.get(key, options)
    }
  }
  return { keys, objects: counted }
}

const later = (ms: number) => () => new Date(Date.now() + ms)
const day = 24 * 60 * 60 * 1000

describe('reading desired state', () => {
  it('accepts a signed body and asks for nothing but the head while there is no news', async (t) => {
    const { fleet, site, open } = await setUp()
    t.after(fleet.remove)
    await fleet.putDesired([site])
    const { keys, objects } = counting(fleet.objects)
    const reader = await open({ objects })

    assert.equal(await reader.read(), true)
    keys.length = 0
    assert.equal(await reader.read(), false)

    assert.deepEqual(keys, [layout.head(fleet.fleet)])
    assert.deepEqual(reader.held()?.sites, [site])
    assert.deepEqual(reader.status(), { head: 'current', refusals: [], isUnreachable: false })
  })

  it('fetches only what is new, and in one go as a newborn', async (t) => {
    const { fleet, site, open } = await setUp()
    t.after(fleet.remove)
    const sites = [site, siteNamed(fleet, 'two.localhost'), siteNamed(fleet, 'three.localhost')]
    await fleet.putDesired(sites)
    const { keys, objects } = counting(fleet.objects)
    const reader = await open({ objects })

    await reader.read()
    assert.equal(keys.length, 3, 'head, index and snapshot')

    keys.length = 0
    const changed = siteNamed(fleet, 'three.localhost')
    await fleet.putDesired([...sites.slice(0, 2), changed], { head: (head) => ({ ...head, changed: [] }) })
    await reader.read()
    assert.equal(keys.length, 3, 'head, index and the one site that changed')
    assert.equal(reader.held()?.sites.length, 3)
  })

  it('does without a snapshot', async (t) => {
    const { fleet, site, open } = await setUp()
    t.after(fleet.remove)
    await fleet.putDesired([site], { withoutSnapshot: true })
    const reader = await open()

    assert.equal(await reader.read(), true)
    assert.deepEqual(reader.held()?.sites, [site])
  })

  it('knows what it accepted when it starts anew with the store gone', async (t) => {
    const { fleet, site, open } = await setUp()
    t.after(fleet.remove)
    await fleet.putDesired([site])
    await (await open()).read()

    const rebooted = await open({ objects: gone(fleet.objects) })

    assert.deepEqual(rebooted.held()?.sites, [site])
    assert.equal(await rebooted.read(), false)
    assert.deepEqual(rebooted.status(), { head: 'current', refusals: [], isUnreachable: true })
  })

  it('wakes up with a whole state, the old one or the new one, wherever it was killed', async (t) => {
    const { fleet, site, open } = await setUp()
    t.after(fleet.remove)
    await fleet.putDesired([site])
    await (await open()).read()
    const next = siteNamed(fleet, 'two.localhost')
    await fleet.putDesired([next])

    for (const crashPoint of ['desired/objects-written', 'desired/head-written']) {
      const killed = await open({
        checkpoint: (name) => {
          if (name === crashPoint) throw new ObjectsError('unavailable', 'killed here')
        }
      })
      await killed.read()
      const woken = await open({ objects: gone(fleet.objects) })
      assert.deepEqual(woken.held()?.sites, [crashPoint === 'desired/head-written' ? next : site])
    }
    const healed = await open()
    await healed.read()
    assert.deepEqual(healed.held()?.sites, [next])
  })

  it('says that its disk is full, holds what it held, and accepts the same head once there is room', async (t) => {
    const { fleet, site, open } = await setUp()
    t.after(fleet.remove)
    let isFull = false
    const reader = await open({
      checkpoint: (name) => {
        if (isFull && name === 'desired/objects-written') throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      }
    })
    await fleet.putDesired([site])
    await reader.read()
    const next = siteNamed(fleet, 'two.localhost')
    await fleet.putDesired([next])
    isFull = true

    assert.equal(await reader.read(), false)
    const { head, refusals, isUnreachable } = reader.status()
    assert.deepEqual([head, refusals[0]?.code, isUnreachable], ['refused', 'disk_full', false])
    assert.deepEqual(reader.held()?.sites, [site])

    isFull = false
    assert.equal(await reader.read(), true)
    assert.deepEqual(reader.held()?.sites, [next])
    assert.deepEqual(reader.status().refusals, [])
  })

  it('fetches again what its disk lost, and still takes nothing older', async (t) => {
    const { fleet, folder, site, open } = await setUp()
    t.after(fleet.remove)
    await fleet.putDesired([site])
    await fleet.putDesired([site, siteNamed(fleet, 'two.localhost')])
    await (await open()).read()
    for (const file of await readdir(folder)) if (file !== 'head.json') await writeFile(join(folder, file), 'damaged')

    const reader = await open()
    assert.equal(reader.held(), undefined)
    await fleet.putDesired([site], { head: (head) => ({ ...head, generation: 1 }) })
    await reader.read()
    assert.equal(reader.status().refusals[0]?.code, 'older_generation')
    await fleet.putDesired([site])
    assert.equal(await reader.read(), true)
    assert.deepEqual(reader.held()?.sites, [site])
  })

  it('accepts an expired head as a newborn, says that it is stale, and then changes for no other expired one', async (t) => {
    const { fleet, site, open } = await setUp()
    t.after(fleet.remove)
    await fleet.putDesired([site])
    const reader = await open({ now: later(2 * day) })

    assert.equal(await reader.read(), true)
    assert.equal(reader.status().head, 'stale')

    await fleet.putDesired([siteNamed(fleet, 'two.localhost')])
    assert.equal(await reader.read(), false)
    assert.deepEqual([reader.status().head, reader.status().refusals[0]?.code], ['refused', 'expired'])
    assert.deepEqual(reader.held()?.sites, [site])
  })

  it('goes on with what it holds when the root expires, and changes nothing', async (t) => {
    const { fleet, site, open } = await setUp()
    t.after(fleet.remove)
    let now = () => new Date()
    await fleet.putDesired([site])
    const reader = await open({ now: () => now() })
    await reader.read()

    now = later(400 * day)
    assert.equal(reader.status().head, 'stale')
    await fleet.putDesired([siteNamed(fleet, 'two.localhost')], {
      head: (head) => ({ ...head, validUntil: new Date(Date.now() + 500 * day).toISOString() })
    })
    await reader.read()
    assert.equal(reader.status().refusals[0]?.code, 'expired')
  })

  it('takes a head that was signed anew as no change', async (t) => {
    const { fleet, site, open } = await setUp()
    t.after(fleet.remove)
    await fleet.putDesired([site])
    const reader = await open()
    await reader.read()

    await fleet.putDesired([site], { head: (head) => ({ ...head, generation: 1, validUntil: later(5 * day)().toISOString() }) })

    assert.equal(await reader.read(), false)
    assert.equal(reader.status().head, 'current')
    assert.equal(
      reader.held()?.head.validUntil.slice(0, 10),
      later(5 * day)()
        .toISOString()
        .slice(0, 10)
    )
  })
})

describe('a refused head or body', () => {
  type Case = {
    readonly code: string
    readonly what: string
    readonly tenancy?: 'public' | 'subscription' | 'dedicated'
    readonly bad: (fleet: TestFleet) => Promise<unknown>
  }
  const other = (fleet: TestFleet) => siteNamed(fleet, 'two.localhost')
  const cases: readonly Case[] = [
    {
      code: 'unsigned',
      what: 'that a stranger signed',
      bad: (fleet) => fleet.putDesired([other(fleet)], { signer: 'stranger' })
    },
    {
      code: 'unsigned',
      what: 'that is no envelope',
      bad: (fleet) => fleet.objects.put(layout.head(fleet.fleet), Buffer.from('{}'))
    },
    {
      code: 'wrong_role',
      what: 'that the sealer signed',
      bad: (fleet) => fleet.putDesired([other(fleet)], { signer: 'sealer' })
    },
    {
      code: 'other_fleet',
      what: 'of another fleet',
      bad: (fleet) => fleet.putDesired([other(fleet)], { head: (head) => ({ ...head, fleet: 'f-other' }) })
    },
    {
      code: 'other_fleet',
      what: 'with the body of another fleet',
      bad: (fleet) => fleet.putDesired([], { indexFleet: 'f-other' })
    },
    {
      code: 'older_generation',
      what: 'of an older generation',
      bad: (fleet) => fleet.putDesired([other(fleet)], { head: (head) => ({ ...head, generation: 1 }) })
    },
    {
      code: 'same_generation_other_digest',
      what: 'of the same generation for another body',
      bad: (fleet) => fleet.putDesired([other(fleet)], { head: (head) => ({ ...head, generation: 2 }) })
    },
    {
      code: 'expired',
      what: 'whose time is over',
      bad: (fleet) =>
        fleet.putDesired([other(fleet)], { head: (head) => ({ ...head, validUntil: later(-1000)().toISOString() }) })
    },
    {
      code: 'bad_head',
      what: 'with a field that no head has',
      bad: (fleet) => fleet.putDesired([other(fleet)], { head: (head) => ({ ...head, extra: true }) as typeof head })
    },
    {
      code: 'bad_body',
      what: 'whose objects are missing',
      bad: (fleet) => fleet.putDesired([other(fleet)], { withoutObjects: true, withoutSnapshot: true })
    },
    {
      code: 'bad_body',
      what: 'whose index holds other bytes',
      bad: async (fleet) => {
        const head = await fleet.putDesired([other(fleet)])
        const [site] = await fleet.objects.list(`fleets/${fleet.fleet}/desired/`).then(({ objects }) => objects)
        await fleet.objects.copy(site?.key ?? '', layout.desired(fleet.fleet, head.digest))
      }
    },
    {
      code: 'birth_contradicted',
      what: 'with two sites in a Dedicated fleet',
      tenancy: 'dedicated',
      bad: (fleet) => fleet.putDesired([other(fleet), siteNamed(fleet, 'three.localhost')])
    },
    {
      code: 'birth_contradicted',
      what: 'with a stranger’s site in a Dedicated fleet',
      tenancy: 'dedicated',
      bad: (fleet) => fleet.putDesired([siteNamed(fleet, 'two.localhost', randomUUID())])
    },
    {
      code: 'birth_contradicted',
      what: 'with a stranger’s site in a Subscription fleet',
      tenancy: 'subscription',
      bad: (fleet) => fleet.putDesired([other(fleet), siteNamed(fleet, 'three.localhost', randomUUID())])
    }
  ]
  for (const { code, what, tenancy, bad } of cases)
    it(`${what} changes nothing and is named ${code}`, async (t) => {
      const { fleet, site, open } = await setUp(tenancy ? { tenancy } : {})
      t.after(fleet.remove)
      await fleet.putDesired([])
      await fleet.putDesired([site])
      const reader = await open()
      await reader.read()

      await bad(fleet)

      assert.equal(await reader.read(), false)
      assert.deepEqual(reader.held()?.sites, [site])
      assert.deepEqual([reader.status().head, reader.status().refusals.map((refusal) => refusal.code)], ['refused', [code]])
      assert.deepEqual((await open({ objects: gone(fleet.objects) })).held()?.sites, [site], 'nor on disk')

      await reader.read()
      assert.equal(reader.status().head, 'refused', 'it stays refused')
      await fleet.putDesired([site])
      await reader.read()
      assert.deepEqual(reader.status(), { head: 'current', refusals: [], isUnreachable: false })
    })
})
