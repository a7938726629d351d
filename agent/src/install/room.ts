import { statfs } from 'node:fs/promises'
import { Refusal } from '@berth/shared/refusal'

/** Kept free for logs, reports and desired state, which must never fail because an application is large. */
const reserveBytes = 16 * 1024 * 1024

/** Bytes that may still be written where this folder lies. */
export type FreeBytes = (folder: string) => Promise<number>

export const freeBytesOnDisk: FreeBytes = async (folder) => {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/** Refuses with `disk_full` before anything is written when it could not all be written. */
export const requireRoom = async (freeBytes: FreeBytes, folder: string, neededBytes: number, what: string): Promise<void> => {
  const free = await freeBytes(folder)
  if (free - reserveBytes < neededBytes)
    throw new Refusal(
      'disk_full',
      `${what} needs ${neededBytes} bytes; this server's disk has ${free} left. Nothing was installed`
    )
}

/** A disk that filled up while we wrote is the same refusal as one that was full before. */
export const asDiskFull = (error: unknown, what: string): unknown =>
  error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
    ? new Refusal(
        'disk_full',
        `this server's disk became full while ${what} was written; what served goes on serving. Free space on it`,
        {
          cause: error
        }
      )
    : error
