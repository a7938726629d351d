import type { Clock } from '../clock.ts'
import type { Objects } from './objects.ts'

/** The same store, each call of which takes `delayMs` longer: what a store across a network would cost. Signing costs nothing there either. */
export const delayedObjects = (objects: Objects, delayMs: number, clock: Clock): Objects => {
  const late =
    <Arguments extends readonly unknown[], Answer>(call: (...args: Arguments) => Promise<Answer>) =>
    async (...args: Arguments): Promise<Answer> => {
      await clock.wait(delayMs)
      return call(...args)
    }
  return {
    put: late(objects.put),
    get: late(objects.get),
    head: late(objects.head),
    list: late(objects.list),
    delete: late(objects.delete),
    copy: late(objects.copy),
    presignPut: objects.presignPut,
    presignGet: objects.presignGet
  }
}
