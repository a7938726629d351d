import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MachineIdentity } from '@berth/shared/birth'
import type { TestFleet } from './fleet.ts'

/** What a provisioner and a machine tell a server, as files on its disk. */
export const writeServerFiles = async (
  fleet: TestFleet,
  serverFolder: string,
  change: Partial<MachineIdentity> = {}
): Promise<void> => {
  const machine: MachineIdentity = {
    server: 's-1',
    zone: 'local-a',
    address: '127.0.0.1',
    port: 8080,
    objects: { kind: 'folder', root: join(fleet.folder, 'objects') },
    keys: { kind: 'local', folder: fleet.keysFolder },
    pollMs: 50,
    ...change
  }
  await writeFile(join(serverFolder, 'machine.json'), JSON.stringify(machine), { mode: 0o600 })
  await writeFile(join(serverFolder, 'birth.json'), JSON.stringify(fleet.birth), { mode: 0o600 })
}
