import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type BirthRecord, type MachineIdentity, parseBirthRecord, parseMachineIdentity } from '@berth/shared/birth'
import { canonicalJson } from '@berth/shared/canonical'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { Refusal } from '@berth/shared/refusal'

export type Birth = {
  readonly birth: BirthRecord
  readonly machine: MachineIdentity
  /** Set when `birth.json` says something else than it did at the first start: what was said first holds. */
  readonly contradiction: Refusal | undefined
}

/**
 * Reads who this server is. The first birth record is pinned in `state/birth.json` for the server's life;
 * whoever writes another one later changes nothing.
 */
export const readBirth = async (serverFolder: string): Promise<Birth> => {
  const stateFolder = join(serverFolder, 'state')
  await mkdir(stateFolder, { recursive: true, mode: 0o700 })
  await chmod(stateFolder, 0o700)

  const machine = await readTextIfThere(join(serverFolder, 'machine.json'))
  if (machine === undefined) throw new Refusal('bad_machine', `${serverFolder} holds no machine.json: nothing was started`)

  const pinnedFile = join(stateFolder, 'birth.json')
  const told = await readTextIfThere(join(serverFolder, 'birth.json'))
  const pinned = await readTextIfThere(pinnedFile)
  if (pinned === undefined) {
    if (told === undefined) throw new Refusal('bad_birth', `${serverFolder} holds no birth.json: nothing was started`)
    const birth = checkTenancy(parseBirthRecord(told))
    await writeFileAtomic(pinnedFile, canonicalJson(birth))
    return { birth, machine: parseMachineIdentity(machine), contradiction: undefined }
  }
  const birth = parseBirthRecord(pinned)
  return { birth, machine: parseMachineIdentity(machine), contradiction: findContradiction(birth, told) }
}

const checkTenancy = (birth: BirthRecord): BirthRecord => {
  if (birth.tenancy !== 'public' && birth.subscription === undefined)
    throw new Refusal('bad_birth', `a birth record of a ${birth.tenancy} fleet names no subscription: nothing was started`)
  return birth
}

const findContradiction = (pinned: BirthRecord, told: string | undefined): Refusal | undefined => {
  if (told === undefined) return undefined
  const refusal = new Refusal(
    'birth_contradicted',
    'birth.json is not what this server was born with; the first record holds. Put it back, or make a new server'
  )
  try {
    return canonicalJson(parseBirthRecord(told)) === canonicalJson(pinned) ? undefined : refusal
  } catch {
    return refusal
  }
}
