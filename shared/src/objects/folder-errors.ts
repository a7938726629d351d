import { ObjectsError } from './objects.ts'

/** Whether the system refused a call with one of these codes. */
export const isSystemError = (error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)

/** An error of whoever handed in a body, carried through the store unchanged. */
export class BodyError extends Error {}

/** Runs one operation of the folder store; what the system says against it becomes the door's own error. */
export const guarded = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (error instanceof BodyError) throw error.cause
    if (error instanceof Error && 'syscall' in error) throw unavailable(what, error)
    throw error
  }
}

const unavailable = (what: string, error: Error & { code?: unknown }): ObjectsError =>
  new ObjectsError('unavailable', `${what}: ${reasons[String(error.code)] ?? `the file system answered ${error.code}`}`, error)

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'the folder of the object store is not there',
  ENOSPC: 'the disk that holds the object store is full; nothing was stored, free space and try again',
  EDQUOT: 'the quota of the disk that holds the object store is used up; nothing was stored, free space and try again',
  EROFS: 'the object store is mounted read-only; nothing was stored',
  EACCES: 'this process may not touch the folder of the object store',
  EMFILE: 'this process has too many open files; try again',
  ENAMETOOLONG: 'the key is too long for a store this deep in the file system'
}
