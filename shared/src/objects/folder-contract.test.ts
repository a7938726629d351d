import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { objectsContract } from './contract.ts'
import { createFolderStore, folderObjects } from './folder.ts'
import { serveFolderOrigin } from './folder-origin.ts'

objectsContract('a folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-objects-'))
  const root = join(folder, 'store')
  await createFolderStore(root)
  let passedMs = 0
  const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + passedMs) }
  const secret = randomBytes(32)
  const open = () => folderObjects({ root, presign: { origin: () => origin.url, secret, clock } })
  const objects = await open()
  const origin = await serveFolderOrigin({ objects, secret, host: '127.0.0.1', port: 0, clock })

  return {
    objects,
    reopen: open,
    passSeconds: (seconds) => {
      passedMs += seconds * 1000
    },
    close: async () => {
      await origin.close()
      await rm(folder, { recursive: true })
    }
  }
})
