import { join } from 'node:path'
import { HostName, StoreName } from '@berth/shared/fields'
import { jsonParser } from '@berth/shared/parse'
import { Type } from 'typebox'
import { beginState } from './changes.ts'
import { openStateFile, parseState } from './state.ts'

const parseNames = jsonParser(Type.Record(HostName, StoreName), "the local cloud's names.json", 'bad_state')

/** The two files in which a local cloud remembers what was declared: its state and its names. */
export const openState = async (folder: string, loopback: 'own' | 'single' | undefined) => ({
  state: await openStateFile(join(folder, 'state.json'), parseState, () => beginState(folder, loopback)),
  names: await openStateFile<Readonly<Record<string, string>>>(join(folder, 'names.json'), parseNames, async () => ({}))
})
