import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Refusal } from '@berth/shared/refusal'
import type { PoolIdentity } from './host.ts'

/**
 * Refuses when a pool's user could not get to `path`: a data folder below somebody's private home, say. Without this check
 * every worker would die with a riddle for a reason.
 */
export const checkPassage = async (path: string, { uid, gid }: PoolIdentity): Promise<void> => {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const info = await stat(folder)
    const bit = info.uid === uid ? 0o100 : info.gid === gid ? 0o010 : 0o001
    if ((info.mode & bit) === 0)
      throw new Refusal(
        'closed_folder',
        `the pool's user ${uid} may not pass through ${folder}; no worker was started; let others enter it (chmod o+x) or move the data folder`
      )
    if (folder === dirname(folder)) return
  }
}
