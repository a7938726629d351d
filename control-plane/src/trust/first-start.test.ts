import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { systemClock } from '@berth/shared/clock'
import { signEnvelope } from '@berth/shared/dsse'
import { createLocalKey, localKeys } from '@berth/shared/keys/local'
import { layout } from '@berth/shared/layout'
import { getBytes } from '@berth/shared/objects/bytes'
import { openFirstRoot, roles, verifyStatement } from '@berth/shared/trust'
import { memoryObjects } from '../testing/memory-objects.ts'
import { makeFirstTrust } from './first-start.ts'
import { readRoots } from './roots.ts'
import { signerOf, signingKeys } from './signers.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-trust-'))
after(() => rm(folder, { recursive: true, force: true }))
const makeKey = (name: string, purpose: 'wrap' | 'sign') => createLocalKey({ folder, name, purpose })
await makeKey('uploads', 'wrap')
const keys = await localKeys({ folder })
const objects = memoryObjects()
const makeTrust = () => makeFirstTrust({ objects, keys, makeKey, clock: systemClock })
await makeTrust()

it('makes a root that two of three root keys signed, and that delegates each role to one key of its own', async () => {
  const [{ root, envelope }, ...others] = await readRoots(objects)

  assert.equal(others.length, 0)
  assert.deepEqual([root.number, root.root.keys.length, root.root.threshold], [1, 3, 2])
  assert.equal(new Set(Object.keys(root.keys)).size, 6)
  const [first] = envelope.signatures
  assert.ok(first)
  assert.throws(() => openFirstRoot({ ...envelope, signatures: [first] }), { code: 'unsigned' })
  for (const [role, kinds] of Object.entries(roles))
    for (const kind of kinds)
      for (const name of [signingKeys.writer, signingKeys.sealer, signingKeys.vendor]) {
        const signed = await signEnvelope(kind, {}, [signerOf(keys, name)])
        if (name === `sign-${role}`) verifyStatement(root, signed, kind)
        else assert.throws(() => verifyStatement(root, signed, kind), { code: 'unsigned' })
      }
})

it('keeps the root and the keys that are there when it starts again', async () => {
  const before = await getBytes(objects, layout.root(1))
  await makeTrust()
  assert.deepEqual(await getBytes(objects, layout.root(1)), before)
})
